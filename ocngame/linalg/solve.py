"""Many small systems of linear equations."""

import torch
from torch import Tensor

__all__ = ["pivoted_solve"]

_FEW = 8
"""Below this size of a system, LAPACK of the CPU is several times faster for at most as many
right-hand sides at once."""


def pivoted_solve(system: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Solve systems by LU with row pivoting.

    Args:
        system: Square matrices, shape (..., m, m).
        right: Right-hand sides, shape (..., m, c).

    Returns:
        The solutions, shape (..., m, c), not finite where a system is singular; and the pivots,
        shape (..., m), without a gradient.
    """
    factors, order, _ = torch.linalg.lu_factor_ex(system)
    columns = right.shape[-1]
    if system.ndim > 2 and system.shape[-1] < _FEW < columns and not system.is_cuda:
        parts = right.chunk(-(-columns // _FEW), dim=-1)
        solved = [torch.linalg.lu_solve(factors, order, part) for part in parts]
        solution = torch.cat([part.mT for part in solved], dim=-2).mT
    else:
        solution = torch.linalg.lu_solve(factors, order, right)
    return solution, factors.detach().diagonal(dim1=-2, dim2=-1)
