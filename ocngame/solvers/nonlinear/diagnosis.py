"""Why an iteration could not even begin: which of the things that it needs was missing."""

import torch
from torch import Tensor

from ocngame.games import InformationStructure
from ocngame.games.expansion import Multipliers, expand
from ocngame.solvers.lq.status import Status, code_of, curvature_status
from ocngame.solvers.nonlinear.point import Point, Problem

__all__ = ["diagnosed"]


def diagnosed(
    problem: Problem,
    information: InformationStructure,
    point: Point,
    codes: Tensor,
    multipliers: Multipliers | None,
) -> Tensor:
    """Tell apart what made an element's numbers not finite.

    Args:
        problem: What was iterated on.
        information: What the user asked for.
        point: The last points.
        codes: Their status codes, shape (B,).
        multipliers: Multipliers of the constraints, or None.

    Returns:
        The codes: overflow where the trajectory itself is not finite; not defined where it is, and
        derivatives along it are not; where all are finite, a stage without a minimum.
    """
    index = (codes == code_of(Status.NON_FINITE)).nonzero().squeeze(-1)
    if not len(index):
        return codes
    xs, us = point.xs[index], point.us[index]
    y = None if multipliers is None else multipliers.take(index)
    expansion = expand(problem.game, xs, us, multipliers=y)
    costs = problem.game.costs(xs, us)
    driven = _finite(xs) & _finite(us)
    defined = _finite(costs)
    for name in ("f_z", "f_zz", "l_z", "l_zz", "phi_x", "phi_xx"):
        part = getattr(expansion, name)
        defined &= torch.ones_like(driven) if part is None else _finite(part)
    found = torch.full_like(codes[index], code_of(Status.NON_FINITE))
    found = torch.where(driven & ~defined, code_of(Status.NOT_DEFINED), found)
    flat = code_of(curvature_status(information))
    return codes.index_put((index,), torch.where(driven & defined, flat, found))


def _finite(part: Tensor) -> Tensor:
    return torch.isfinite(part).flatten(1).all(-1)
