r"""Step lengths: each element takes the first good one, or the best that was tried.

Good means, for a step of length s,

* a full point of several players: the residual falls below `(1 - 1e-4 s)` of a reference;
* a safe point of several players: it stays below twice the reference, for such players have no
  common function that must fall, and a strict rule gets stuck;
* a single decision maker: its cost falls by 1e-4 of what the slope promises, or, where the cost
  cannot resolve the step any more, the residual falls and the cost does not rise.
"""

from dataclasses import replace

import torch
from torch import Tensor

from ocngame.bellman import AffinePolicy
from ocngame.bellman.trajectory import follow
from ocngame.games.expansion import Multipliers
from ocngame.solvers.nonlinear.point import Point, Problem, evaluate

__all__ = ["pick", "search", "trial"]

LENGTHS = (1.0, 0.5, 0.25, 0.1, 0.03, 0.01)
ARMIJO = 1e-4
SLACK = 2.0


def search(
    problem: Problem, here: Point, reference: Tensor, multipliers: Multipliers | None
) -> tuple[Point, Tensor]:
    """Try step lengths.

    Args:
        problem: What is iterated on.
        here: The points from which steps are taken.
        reference: What residuals are compared with, shape (B,).
        multipliers: Multipliers of the constraints, or None.

    Returns:
        The chosen points, and which of them are good, shape (B,). A point whose merit is infinite
        is none: every step failed.
    """
    good = torch.zeros_like(here.full)
    best = replace(here, merit=torch.full_like(here.merit, torch.inf))
    for length in LENGTHS:
        index = (~good).nonzero().squeeze(-1)
        if not len(index):
            break
        part = here.take(index)
        found = trial(problem, part, part.xs, part.us, length, pick(multipliers, index))
        fine = _is_good(problem, part, found, reference[index], length)
        measure, least = found.merit, best.merit[index]
        if problem.alone:
            measure = torch.where(torch.isinf(found.merit), torch.inf, found.cost)
            least = torch.where(torch.isinf(least), torch.inf, best.cost[index])
        chosen = (fine | (measure < least)).nonzero().squeeze(-1)
        best = best.put(index[chosen], found.take(chosen))
        good = good.index_put((index,), fine)
    return best, good


def trial(
    problem: Problem,
    here: Point,
    xs: Tensor,
    us: Tensor,
    length: float,
    multipliers: Multipliers | None,
) -> Point:
    """Step from a trajectory with the policies of points, and evaluate what is reached.

    Args:
        problem: What is iterated on.
        here: The points whose policies are used.
        xs: States about which to step, shape (B, T+1, n).
        us: Their controls, shape (B, T, m).
        length: Length of the step; at 0 the feedback alone is played.
        multipliers: Multipliers of the constraints, or None.

    Returns:
        The points reached; the merit is infinite where the rollout or a full point fails.
    """
    scale = torch.full_like(here.merit, length)
    step = AffinePolicy(feedforward=here.k, feedback=here.K)
    xs, us = follow(problem.game, xs, us, step, scale, here.f_z)
    sound = torch.isfinite(xs).flatten(1).all(-1)
    xs = torch.where(sound[:, None, None], xs, here.xs)
    us = torch.where(sound[:, None, None], us, here.us)
    found = evaluate(problem, xs, us, here.full, here.prox, multipliers)
    sound = sound & (found.regular | ~here.full)
    return replace(found, merit=torch.where(sound, found.merit, torch.inf))


def pick(multipliers: Multipliers | None, index: Tensor) -> Multipliers | None:
    """Pick the multipliers of some elements.

    Args:
        multipliers: Those of all elements, or None.
        index: Which, shape (b,).

    Returns:
        Those of the b elements, or None.
    """
    return None if multipliers is None else multipliers.take(index)


def _is_good(
    problem: Problem, here: Point, found: Point, reference: Tensor, length: float
) -> Tensor:
    falls = found.merit <= (1 - ARMIJO * length) * reference
    if not problem.alone:
        return torch.where(here.full, falls, found.merit <= SLACK * reference)
    sound = torch.isfinite(found.merit)
    less = found.cost < here.cost + ARMIJO * length * here.slope.clamp_max(0)
    rounding = 100 * torch.finfo(here.cost.dtype).eps * here.cost.abs()
    return sound & (less | (falls & (found.cost <= here.cost + rounding)))
