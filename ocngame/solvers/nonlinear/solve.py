"""Solve a nonlinear game by iterating on its quadratic approximation."""

import torch
from torch import Tensor

from ocngame._checks import one_of
from ocngame._tensor_checks import finite, shaped
from ocngame.bellman import AffinePolicy, StageRule
from ocngame.errors import ConvergenceError, InvalidInputError
from ocngame.games import InformationStructure, NonlinearGame
from ocngame.games.expansion import Multipliers
from ocngame.solvers.lq.existence import (
    ExistenceRule,
    LQCertificate,
)
from ocngame.solvers.lq.status import status_of
from ocngame.solvers.nonlinear.augmented import Constrained, iterate_constrained
from ocngame.solvers.nonlinear.begin import begin, first_path, first_secants
from ocngame.solvers.nonlinear.certify import certify
from ocngame.solvers.nonlinear.diagnosis import diagnosed
from ocngame.solvers.nonlinear.iterate import Outcome, iterate
from ocngame.solvers.nonlinear.options import IterationOptions
from ocngame.solvers.nonlinear.point import Problem
from ocngame.solvers.nonlinear.solution import ConstraintReport, NonlinearSolution, Start

__all__ = ["solve_nonlinear"]

KINDS = (
    InformationStructure.FEEDBACK,
    InformationStructure.OPEN_LOOP,
    InformationStructure.COOPERATIVE,
)


@torch.no_grad()
def solve_nonlinear(
    game: NonlinearGame,
    *,
    information: InformationStructure | str = InformationStructure.FEEDBACK,
    x0: Tensor,
    initial: Tensor | AffinePolicy | NonlinearSolution | Start | None = None,
    weights: Tensor | None = None,
    options: IterationOptions | None = None,
    existence: ExistenceRule | None = None,
    raise_on_failure: bool = True,
) -> NonlinearSolution:
    """Look for an equilibrium of a nonlinear game from given initial states.

    What is found is a local equilibrium: stationary on the original game to the tolerance, and
    with positive curvatures of the true Hessians. In feedback play it is one among affine policies
    (see `ocngame.solvers.nonlinear.point`); with constraints a variational generalised one (see
    `ocngame.solvers.nonlinear.augmented`).

    Args:
        game: The game.
        information: Feedback, open loop or cooperative, or its name.
        x0: Initial states, shape (..., n).
        initial: First controls (..., T, m), policies, an earlier solution, or its `shifted()`;
            zero controls if None.
        weights: Weights of the players' costs, shape (N,), for cooperative play only.
        options: Tolerances and limits.
        existence: How far from the border the second-order condition has to hold.
        raise_on_failure: Whether an element that is not solved raises. If not, its status says why
            and its trajectory is the last one; the others are unaffected.

    Returns:
        The solution, with a status per batch element.

    Raises:
        InvalidInputError: naming the argument that does not fit the game.
        UnknownNameError: if the information structure has no such name.
        ConvergenceError: naming the first element that is not solved.
    """
    one_of("information", information, [structure.value for structure in InformationStructure])
    information = InformationStructure(information)
    options = IterationOptions() if options is None else options
    existence = ExistenceRule() if existence is None else existence
    problem = _problem(game, information, weights, options)
    game.check(x0)
    start = begin(game, x0, initial)
    batch = torch.broadcast_shapes(x0.shape[:-1], start.policies.feedforward.shape[:-2])
    xs, us = first_path(game, start, x0.expand(*batch, game.state_size))
    report = None
    if game.constraints:
        y = None if start.multipliers is None else start.multipliers.flat(batch)
        report = iterate_constrained(problem, xs, us, options, y)
        outcome = report.outcome
    else:
        outcome = iterate(
            problem,
            xs,
            us,
            tolerance=options.tolerance,
            max_iterations=options.max_iterations,
            secants=first_secants(start, batch),
        )
    point, codes, certificate = certify(problem, outcome, report, existence)
    codes = diagnosed(
        problem, information, point, codes, None if report is None else report.multipliers
    )
    if raise_on_failure:
        _refuse(codes.reshape(batch), information, outcome, batch)
    return NonlinearSolution(
        information=information,
        states=_shaped(point.xs, batch),
        controls=_shaped(point.us, batch),
        feedback=_shaped(point.K, batch),
        costs=_shaped(game.costs(point.xs, point.us), batch),
        residuals=_shaped(point.residuals, batch),
        certificate=LQCertificate(
            own_curvature=_shaped(certificate.own_curvature, batch),
            curvature_scale=_shaped(certificate.curvature_scale, batch),
            pivot=_shaped(certificate.pivot, batch),
            system=_shaped(certificate.system, batch),
        ),
        codes=_shaped(codes, batch),
        iterations=_shaped(outcome.iterations, batch),
        constraints=None if report is None else _report(report, batch),
        weights=weights,
        f_z=_shaped(point.f_z, batch),
        secants=outcome.secants,
    )


def _problem(
    game: NonlinearGame,
    information: InformationStructure,
    weights: Tensor | None,
    options: IterationOptions,
) -> Problem:
    if information not in KINDS:
        known = ", ".join(KINDS)
        raise InvalidInputError(
            f"information: expected one of {known} for a nonlinear game, got {information}"
        )
    if weights is not None:
        if information is not InformationStructure.COOPERATIVE:
            raise InvalidInputError(
                f"weights: expected None unless play is cooperative, got weights for {information}"
            )
        shaped("weights", weights, "N", N=game.player_count)
        finite("weights", weights)
        if bool((weights < 0).any()) or not bool((weights > 0).any()):
            raise InvalidInputError(
                f"weights: expected non-negative weights, not all zero, got {weights.tolist()}"
            )
    if information is InformationStructure.COOPERATIVE:
        game = game.team(None if weights is None else weights.tolist())
        information = InformationStructure.FEEDBACK
    rule = StageRule(slices=tuple(game.control_slices), information=information)
    return Problem(game=game, rule=rule, dynamics_hessian=options.dynamics_hessian)


def _report(report: Constrained, batch: torch.Size) -> ConstraintReport:
    y = report.multipliers
    return ConstraintReport(
        multipliers=Multipliers(
            running=_shaped(y.running, batch),
            terminal=_shaped(y.terminal, batch),
            penalty=_shaped(y.penalty, batch),
        ),
        violation=_shaped(report.violation, batch),
        complementarity=_shaped(report.complementarity, batch),
        rounds=_shaped(report.rounds, batch),
    )


def _shaped(part: Tensor, batch: torch.Size) -> Tensor:
    return part.reshape((*batch, *part.shape[1:]))


def _refuse(
    codes: Tensor, information: InformationStructure, outcome: Outcome, batch: torch.Size
) -> None:
    """Raise for the first batch element that is not solved."""
    if not bool((codes != 0).any()):
        return
    where = tuple(int(index) for index in (codes != 0).nonzero()[0])
    merit = float(outcome.point.merit.reshape(batch)[where])
    count = int(outcome.iterations.reshape(batch)[where])
    place = f" in batch element {where}" if where else ""
    raise ConvergenceError(
        f"game: no {information} solution{place} after {count} iterations, residual {merit:.3g}: "
        f"{status_of(codes[where])}"
    )
