"""Factorisations of symmetric matrices, in at least float32 and with a fallback."""

import torch
from torch import Tensor

__all__ = [
    "count_negative",
    "damped_inverse",
    "project_psd",
    "smallest_eigenvalue",
    "symmetric_eigen",
    "symmetrise",
]


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


def symmetric_eigen(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Give eigenvalues and eigenvectors, in float32 at least and float64 where that fails.

    Args:
        matrix: Symmetric matrices, shape (..., n, n).

    Returns:
        Eigenvalues (..., n) and eigenvectors (..., n, n) in the dtype of `matrix`; NaN where the
        input is not finite.
    """
    if not bool(torch.isfinite(matrix).all()):
        return torch.full_like(matrix[..., 0], torch.nan), torch.full_like(matrix, torch.nan)
    work = matrix if matrix.dtype == torch.float64 else matrix.float()
    try:
        values, vectors = torch.linalg.eigh(work)
    except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage]
        values, vectors = torch.linalg.eigh(work.double())
    return values.to(matrix.dtype), vectors.to(matrix.dtype)


def project_psd(matrix: Tensor) -> Tensor:
    """Project symmetric matrices on the positive semi-definite cone.

    Args:
        matrix: Symmetric matrices, shape (..., n, n).

    Returns:
        The projections; a matrix without negative eigenvalues is left as it is.
    """
    if matrix.shape[-1] == 1:
        return matrix.clamp_min(0)
    if not bool(torch.linalg.cholesky_ex(matrix).info.any()):
        return matrix
    values, vectors = torch.linalg.eigh(matrix)
    projected = (vectors * values.clamp_min(0).unsqueeze(-2)) @ vectors.mT
    touched = _negative(values).any(-1)[..., None, None]
    return torch.where(touched, projected, matrix)


def count_negative(matrix: Tensor) -> Tensor:
    """Count eigenvalues that are negative by more than rounding.

    Args:
        matrix: Symmetric matrices, shape (..., n, n).

    Returns:
        The number over all matrices, a scalar tensor.
    """
    if not bool(torch.linalg.cholesky_ex(matrix).info.any()):
        return torch.zeros((), dtype=torch.long, device=matrix.device)
    return _negative(torch.linalg.eigvalsh(matrix)).sum()


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


def _negative(values: Tensor) -> Tensor:
    rounding = values.shape[-1] * torch.finfo(values.dtype).eps
    return values < -rounding * values.abs().amax(-1, keepdim=True)
