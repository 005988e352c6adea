r"""The point of a polytope that is nearest to a given one, in the metric of a quadratic model.

    minimise (d - c)' M (d - c) / 2    subject to    A d <= b

With `M = L L'` and `z = L' (d - c)` this is Lawson and Hanson's least distance problem, minimise
`|z|` subject to `G z >= h` with `G = -A L^{-T}` and `h = A c - b`: for u >= 0 that minimises
`|E u - e|`, `E = [G'; h']` and `e = (0, .., 0, 1)`, the residual `r = E u - e` gives
`z_j = -r_j / r_{n+1}` (*Solving Least Squares Problems*, 1974, section 23.4). Rows whose u is
positive are active; the point is then where they hold exactly. Lengths are measured in the greatest
excess of c, so that a far c costs no digits.
"""

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from ocngame.errors import InvalidInputError

__all__ = ["nearest_in_polytope"]

_SLACK = 1e-9


def nearest_in_polytope(
    centre: Tensor, metric: Tensor, rows: Tensor, limits: Tensor
) -> tuple[Tensor, list[int]]:
    """Find the nearest point.

    Args:
        centre: c, shape (n,).
        metric: M, symmetric positive definite, shape (n, n).
        rows: A, shape (m, n).
        limits: b, shape (m,).

    Returns:
        d, shape (n,), and the numbers of the active rows.

    Raises:
        InvalidInputError: if no point satisfies the constraints.
    """
    scale = float(metric.diagonal().abs().max())
    root = torch.linalg.cholesky(metric.double() / scale)
    across = torch.linalg.solve_triangular(root, rows.double().T, upper=False)  # L^{-1} A'
    excess = rows.double() @ centre.double() - limits.double()
    far = float(excess.max())
    if not far > _SLACK:
        return centre, []
    stacked = np.concatenate([-across.numpy(), excess[None].numpy() / far])
    target = np.zeros(len(stacked))
    target[-1] = 1.0
    weights, _ = nnls(stacked, target)
    residual = stacked @ weights - target
    if not -residual[-1] > _SLACK:
        raise InvalidInputError("bounds: expected times that satisfy all of them, there are none")
    active = [i for i, weight in enumerate(weights) if weight > 0]
    held = across[:, active]
    z = -torch.linalg.lstsq(held.T, excess[active, None], driver="gelsd").solution
    return centre + torch.linalg.solve_triangular(root.T, z, upper=True)[:, 0], active
