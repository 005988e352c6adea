"""The second-order condition at what an iteration found, with the true Hessians."""

import torch
from torch import Tensor

from ocngame.bellman.curved import quadratic_game
from ocngame.games.expansion import Multipliers, expand
from ocngame.solvers.lq.existence import (
    ExistenceRule,
    LQCertificate,
    judge,
    judged_on,
    own_scale,
)
from ocngame.solvers.lq.open_loop import convexity
from ocngame.solvers.lq.status import Status
from ocngame.solvers.nonlinear.augmented import Constrained
from ocngame.solvers.nonlinear.iterate import Outcome
from ocngame.solvers.nonlinear.point import Point, Problem, run_pass

__all__ = ["certify"]


def certify(
    problem: Problem, outcome: Outcome, report: Constrained | None, existence: ExistenceRule
) -> tuple[Point, Tensor, LQCertificate]:
    """Ask stationary elements for their second-order condition.

    Args:
        problem: What was iterated on.
        outcome: Where it ended.
        report: The constraints' rounds, or None.
        existence: How far from the border the condition has to hold.

    Returns:
        The points, their final codes, and the evidence; NaN where a point is not stationary.
    """
    point, codes = outcome.point, outcome.codes.clone()
    evidence = point.evidence
    stationary = codes == 0
    certificate = LQCertificate(
        own_curvature=_known(evidence.own_curvature, stationary),
        curvature_scale=_known(evidence.curvature_scale, stationary),
        pivot=_known(evidence.pivot, stationary),
        system=_known(evidence.system, stationary),
    )
    index = stationary.nonzero().squeeze(-1)
    if not len(index):
        return point, codes, certificate
    if problem.costates or not problem.dynamics_hessian or report is not None:
        y = None if report is None else report.multipliers.take(index)
        found = _true_evidence(problem, point.xs[index], point.us[index], y)
        for name in ("own_curvature", "curvature_scale", "pivot", "system"):
            getattr(certificate, name)[index] = getattr(found, name)
    fault = judge(certificate, existence, Status.NO_MINIMUM, Status.SINGULAR_SYSTEM)
    codes[index] = fault.codes[index]
    return point, codes, certificate


def _true_evidence(
    problem: Problem, xs: Tensor, us: Tensor, multipliers: Multipliers | None
) -> LQCertificate:
    """Examine points where what the iteration saw is not what the condition is about."""
    expansion = expand(problem.game, xs, us, multipliers=multipliers)
    found = run_pass(problem, expansion)
    slices = problem.rule.slices
    approximation = quadratic_game(expansion, found.path.transpose(1, 2), slices)
    boundary = judged_on(found.certificate, own_scale(approximation, list(enumerate(slices))))
    return convexity(approximation, boundary) if problem.costates else boundary


def _known(part: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask.reshape(-1, *(1,) * (part.ndim - 1)), part, torch.nan)
