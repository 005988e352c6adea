r"""Batched GMRES (Saad and Schultz, 1986): linear systems known by their products only.

Every batch element has its own Krylov space `span{v, A v, A^2 v, ..}` and takes from it the vector
of least residual. No restarts: spaces stay small where A is near the identity.
"""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["batched_gmres"]


def batched_gmres(
    product: Callable[[Tensor], Tensor], right: Tensor, *, tolerance: float, most: int
) -> tuple[Tensor, Tensor]:
    """Solve `A w = v` for every batch element.

    Args:
        product: Gives A w of vectors, shape (B, d).
        right: v, shape (B, d).
        tolerance: Residual relative to v at which all may stop.
        most: Largest dimension of the Krylov space.

    Returns:
        The solutions, shape (B, d), and their residuals relative to v, shape (B,).
    """
    size = right.norm(dim=-1)
    scale = torch.where(size > 0, size, 1)
    basis = (right / scale.unsqueeze(-1)).unsqueeze(1)
    most = min(most, right.shape[-1])
    hessenberg = right.new_zeros(len(right), most + 1, most)
    solution, residual = torch.zeros_like(right), torch.where(size > 0, 1.0, 0.0).to(right)
    for j in range(most):
        if not bool((residual > tolerance).any()):
            break
        new = product(basis[:, j])
        for _ in range(2):  # Gram-Schmidt twice keeps the basis orthogonal to rounding.
            share = (basis @ new.unsqueeze(-1)).squeeze(-1)
            new = new - (basis.mT @ share.unsqueeze(-1)).squeeze(-1)
            hessenberg[:, : j + 1, j] += share
        length = new.norm(dim=-1)
        hessenberg[:, j + 1, j] = length
        small = hessenberg[:, : j + 2, : j + 1]
        first = right.new_zeros(j + 2, 1)
        first[0] = 1
        weights = torch.linalg.pinv(small) @ first
        residual = torch.where(size > 0, (small @ weights - first).squeeze(-1).norm(dim=-1), 0)
        solution = scale.unsqueeze(-1) * (basis.mT @ weights).squeeze(-1)
        direction = new / torch.where(length > 0, length, 1).unsqueeze(-1)
        basis = torch.cat([basis, direction.unsqueeze(1)], dim=1)
    return solution, residual
