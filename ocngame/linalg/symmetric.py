"""Factorisations of symmetric matrices, in at least float32 and with a fallback."""

import torch
from torch import Tensor

__all__ = ["damped_inverse", "project_psd", "smallest_eigenvalue", "symmetrise"]


def symmetrise(matrix: Tensor) -> Tensor:
    """Give the symmetric part.

    Args:
        matrix: Square matrices, shape (..., n, n).

    Returns:
        `(matrix + matrix') / 2`.
    """
    return 0.5 * (matrix + matrix.mT)


def damped_inverse(matrix: Tensor, damping: Tensor | float) -> Tensor:
    """Invert `matrix + damping I` by Cholesky, by eigenvalues where Cholesky fails.

    Args:
        matrix: Symmetric positive semi-definite matrices, shape (..., n, n).
        damping: Shift of the diagonal, a number or a scalar tensor.

    Returns:
        The symmetric inverse, in the dtype of `matrix`; NaN where the input is not finite.
    """
    work = matrix if matrix.dtype == torch.float64 else matrix.float()
    eye = torch.eye(matrix.shape[-1], dtype=work.dtype, device=work.device)
    shifted = work + damping * eye
    factor, info = torch.linalg.cholesky_ex(shifted)
    if not bool(info.any()):
        return torch.cholesky_inverse(factor).to(matrix.dtype)
    if not bool(torch.isfinite(shifted).all()):
        return torch.full_like(matrix, torch.nan)
    values, vectors = torch.linalg.eigh(symmetrise(shifted).double())
    floor = values.amax(-1, keepdim=True).clamp_min(1e-30) * 1e-12
    return ((vectors / values.clamp_min(floor).unsqueeze(-2)) @ vectors.mT).to(matrix.dtype)


def project_psd(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Project symmetric matrices on the positive semi-definite cone.

    Args:
        matrix: Symmetric matrices, shape (..., n, n).

    Returns:
        The projections, and the number of negative eigenvalues removed (a scalar tensor).
    """
    if matrix.shape[-1] == 1:
        negative = matrix < 0
        return matrix.clamp_min(0), negative.sum()
    values, vectors = torch.linalg.eigh(matrix)
    tolerance = -1e-10 * values.abs().amax(-1, keepdim=True)
    negative = values < tolerance
    projected = (vectors * values.clamp_min(0).unsqueeze(-2)) @ vectors.mT
    touched = negative.any(-1)[..., None, None]
    return torch.where(touched, projected, matrix), negative.sum()


def smallest_eigenvalue(matrix: Tensor) -> Tensor:
    """Give the smallest eigenvalue, without a gradient.

    Args:
        matrix: Symmetric matrices, shape (..., n, n); the lower triangle is read.

    Returns:
        The smallest eigenvalues, shape (...); NaN where the matrix is not finite.
    """
    matrix = matrix.detach()
    if matrix.shape[-1] == 1:
        value = matrix[..., 0, 0]
        return torch.where(torch.isfinite(value), value, torch.nan)
    finite = torch.isfinite(matrix).all(-1).all(-1)
    if matrix.shape[-1] == 2:
        first, second, off = matrix[..., 0, 0], matrix[..., 1, 1], matrix[..., 1, 0]
        value = 0.5 * (first + second) - torch.hypot(0.5 * (first - second), off)
    else:
        eye = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
        value = torch.linalg.eigvalsh(torch.where(finite[..., None, None], matrix, eye))[..., 0]
    return torch.where(finite, value, torch.nan)
