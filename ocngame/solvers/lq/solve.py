"""The entry point: solve a game under an information structure, and say whether it could be."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ocngame._checks import one_of
from ocngame._tensor_checks import finite, same_kind, shaped
from ocngame.bellman import (
    AffinePolicy,
    StageRule,
    ValueExpansion,
    play_policies,
)
from ocngame.errors import InvalidInputError, UnsolvableGameError
from ocngame.games import InformationStructure, LQGame
from ocngame.solvers.lq.existence import ExistenceRule, Fault, LQCertificate, judge
from ocngame.solvers.lq.feedback import solve_by_values
from ocngame.solvers.lq.open_loop import solve_by_costates
from ocngame.solvers.lq.open_loop_stackelberg import solve_announced
from ocngame.solvers.lq.rules import stage_rule
from ocngame.solvers.lq.solution import Solution
from ocngame.solvers.lq.status import Status, code_of, curvature_status, status_of
from ocngame.solvers.lq.units import control_units, in_units, out_of_units

__all__ = ["solve"]


def solve(
    game: LQGame,
    *,
    information: InformationStructure | str = InformationStructure.FEEDBACK,
    x0: Tensor | None = None,
    weights: Tensor | None = None,
    leader: int | None = None,
    existence: ExistenceRule | None = None,
    raise_on_failure: bool = True,
) -> Solution:
    """Solve a linear-quadratic game exactly, under an information structure.

    A decision maker's controls that differ by more than a million are solved in their own units
    (`ocngame.solvers.lq.units`), which the certificate is in.

    Nothing is regularised: a game that has no equilibrium of the kind asked for is refused. The
    open-loop saddle point of a zero-sum game is its open-loop Nash equilibrium.

    Gradients flow through policies, values and trajectory to the game's pieces and to `x0`. Batch
    dimensions are cheaper than `torch.func.vmap`, which works with `raise_on_failure=False`; values
    of the pieces are not checked inside it.

    Args:
        game: The game.
        information: The information structure or its name.
        x0: Initial state, shape (..., n), for a trajectory along the solution.
        weights: Weights of the players' costs, shape (..., N), for cooperative play only.
        leader: Index of the player that moves first, at every stage in `stackelberg` play, once for
            its whole sequence in `open_loop_stackelberg` play, which needs x0.
        existence: How far from the border of existence counts as existing.
        raise_on_failure: Whether a batch element without a solution raises. If not, its policies,
            values and trajectory are NaN and its status says why; the others are unaffected.

    Returns:
        The solution, with the evidence of existence and a status per batch element.

    Raises:
        InvalidInputError: naming the argument that does not fit the game.
        UnknownNameError: if the information structure has no such name.
        UnsolvableGameError: naming the first element, stage and player without a solution.

    Examples:
        >>> import torch
        >>> import ocngame as og
        >>> eye = torch.eye(2, dtype=torch.float64)
        >>> game = og.LQGame.time_invariant(
        ...     eye, [eye, 0.5 * eye], [eye, 2 * eye], [eye, eye], horizon=20
        ... )
        >>> solution = og.solve(game, information="feedback", x0=torch.ones(2).double())
        >>> solution.status
        <Status.SOLVED: 'solved: the equilibrium exists and is unique'>
        >>> bool(torch.allclose(game.costs(solution.states, solution.controls), solution.value()))
        True
        >>> unbounded = og.LQGame.time_invariant(eye, [eye], [-3 * eye], [eye], horizon=20)
        >>> og.solve(unbounded)
        Traceback (most recent call last):
        ...
        ocngame.errors.UnsolvableGameError: game: no feedback solution at stage 19 for player 0: ...
    """
    one_of("information", information, [structure.value for structure in InformationStructure])
    rule = stage_rule(game, InformationStructure(information), weights, leader)
    if x0 is not None:
        shaped("x0", x0, "... n", n=game.state_size)
        same_kind("x0", x0, game.A, "game.A")
        finite("x0", x0.detach())
    existence = ExistenceRule() if existence is None else existence
    units = control_units(game, rule)
    if units is None:
        return _solved(game, rule, x0, existence, raise_on_failure=raise_on_failure)
    scaled = in_units(game, units)
    found = _solved(scaled, rule, x0, existence, raise_on_failure=raise_on_failure)
    return replace(
        found,
        policies=out_of_units(found.policies, units),
        controls=None if found.controls is None else found.controls * units,
    )


def _solved(
    game: LQGame,
    rule: StageRule,
    x0: Tensor | None,
    existence: ExistenceRule,
    *,
    raise_on_failure: bool,
) -> Solution:
    """Solve a game under a rule, in the units that it is given in."""
    if rule.information is InformationStructure.OPEN_LOOP_STACKELBERG and rule.leader is not None:
        return _announced(game, rule, x0, existence, raise_on_failure=raise_on_failure)
    if rule.information is InformationStructure.OPEN_LOOP:
        found = solve_by_costates(game, rule)
        curvature, system = Status.CONDENSED_CURVATURE, Status.SINGULAR_BOUNDARY
    else:
        found = solve_by_values(game, rule)
        curvature, system = curvature_status(rule.information), Status.SINGULAR_SYSTEM
    policies, certificate = found.policies, found.certificate
    fault = judge(certificate, existence, curvature, system)
    if rule.information is InformationStructure.COOPERATIVE:
        fault = replace(fault, player=torch.full_like(fault.player, -1))
    values = found.values
    return _handed_back(game, rule, policies, values, certificate, fault, x0, raise_on_failure)


def _announced(
    game: LQGame,
    rule: StageRule,
    x0: Tensor | None,
    existence: ExistenceRule,
    *,
    raise_on_failure: bool,
) -> Solution:
    """Solve for sequences that a leader and its followers announce at the start."""
    if x0 is None or rule.leader is None:
        raise InvalidInputError(
            "x0: expected an initial state for open_loop_stackelberg play, whose leader announces "
            "one sequence, got None"
        )
    batch = torch.broadcast_shapes(game.batch_shape, x0.shape[:-1])
    game, x0 = game.repeated(batch), x0.expand(*batch, game.state_size)
    policies, found, certificate, fault = solve_announced(game, rule.leader, x0, existence)
    values = found.values
    return _handed_back(game, rule, policies, values, certificate, fault, x0, raise_on_failure)


def _handed_back(
    game: LQGame,
    rule: StageRule,
    policies: AffinePolicy,
    values: Sequence[ValueExpansion],
    certificate: LQCertificate,
    fault: Fault,
    x0: Tensor | None,
    raise_on_failure: bool,
) -> Solution:
    fault = _finite_or_fault(fault, values[0])
    if raise_on_failure:
        _refuse(fault, rule.information)
    else:
        policies = _where_solved(fault, policies)
    states, controls = (None, None) if x0 is None else play_policies(game, policies, x0)
    return Solution(
        information=rule.information,
        policies=policies,
        stage_values=values,
        certificate=certificate,
        fault=fault,
        x0=x0,
        states=states,
        controls=controls,
        weights=rule.weights,
        leader=rule.leader,
    )


def _finite_or_fault(fault: Fault, first: ValueExpansion) -> Fault:
    """Turn a solved element into a fault where numbers that are not finite reached its value."""
    finite = torch.isfinite(first.v_xx).all(-1).all(-1).all(-1)
    finite &= torch.isfinite(first.v_x).all(-1).all(-1) & torch.isfinite(first.v).all(-1)
    broken = (fault.codes == 0) & ~finite
    return replace(fault, codes=fault.codes.masked_fill(broken, code_of(Status.NON_FINITE)))


def _where_solved(fault: Fault, policies: AffinePolicy) -> AffinePolicy:
    solved = (fault.codes == 0).unsqueeze(-1).unsqueeze(-1)
    return AffinePolicy(
        feedforward=torch.where(solved, policies.feedforward, torch.nan),
        feedback=torch.where(solved.unsqueeze(-1), policies.feedback, torch.nan),
    )


def _refuse(fault: Fault, information: InformationStructure) -> None:
    """Raise for the first batch element that is not solved."""
    if not bool((fault.codes != 0).any()):
        return
    where = tuple(int(index) for index in (fault.codes != 0).nonzero()[0])
    place = [f"no {information} solution"]
    if int(fault.stage[where]) >= 0:
        place.append(f"at stage {int(fault.stage[where])}")
    if int(fault.player[where]) >= 0:
        place.append(f"for player {int(fault.player[where])}")
    if where:
        place.append(f"in batch element {where}")
    raise UnsolvableGameError(f"game: {' '.join(place)}: {status_of(fault.codes[where])}")
