r"""Infinite horizon: one stage repeated forever, its coupled algebraic Riccati equations.

    V^i = Q^i + M^i K + K' M^i' + K' R^i K + (A + B K)' V^i (A + B K)        for every player i

with K the stage policy of the information structure against V (Basar & Olsder, 2nd ed., section
6.2 for feedback Nash; one equation for cooperative play; the game Riccati equation for zero-sum).
They are solved by the finite-horizon recursion itself, run until it stands still, with jumps ahead
(`ocngame.solvers.lq.settle`). What comes out is certified by the residual of the equations, the
spectral radius of `A + B K`, and own curvatures.
"""

import torch
from torch import Tensor

from ocngame._checks import one_of
from ocngame.bellman import StageRule, evaluate_policy
from ocngame.errors import InvalidInputError, UnsolvableGameError
from ocngame.games import InformationStructure, LQGame
from ocngame.solvers.lq.implicit import attach_gradient
from ocngame.solvers.lq.repeated_stage import flattened, recursion, stage_of
from ocngame.solvers.lq.rules import stage_rule
from ocngame.solvers.lq.settle import Settled, settle
from ocngame.solvers.lq.stationary_solution import StationaryRule, StationarySolution, certified
from ocngame.solvers.lq.status import status_of

__all__ = ["repeated_rule", "solve_stationary"]


def solve_stationary(
    game: LQGame,
    *,
    information: InformationStructure | str = InformationStructure.FEEDBACK,
    weights: Tensor | None = None,
    leader: int | None = None,
    rule: StationaryRule | None = None,
    raise_on_failure: bool = True,
) -> StationarySolution:
    """Solve a game whose one stage repeats forever.

    Gradients flow to the game's pieces by the implicit function theorem.

    Args:
        game: A game of horizon 1 without linear parts; its terminal costs are where the recursion
            starts, as if they stood at the end of a very long game.
        information: The information structure or its name; any but open loop.
        weights: Weights of the players' costs, shape (..., N), for cooperative play only.
        leader: Index of the player that moves first at every stage, for Stackelberg play only.
        rule: When the recursion counts as standing still.
        raise_on_failure: Whether a batch element without a solution raises. If not, it is NaN and
            its status says why.

    Returns:
        The stationary solution with its certificates.

    Raises:
        InvalidInputError: naming the argument that does not fit.
        UnknownNameError: if the information structure has no such name.
        UnsolvableGameError: naming the first batch element without a solution.

    Examples:
        >>> import torch
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> game = LQGame.time_invariant(one, [one], [one], [one], horizon=1)
        >>> found = solve_stationary(game)
        >>> round(float(found.v_xx), 12)  # the golden ratio
        1.61803398875
    """
    stage = repeated_rule(game, information, weights, leader)
    rule = StationaryRule() if rule is None else rule
    tolerance, polish = rule.resolved(game.A.dtype)
    if stage.weights is not None:
        game = game.repeated(torch.broadcast_shapes(game.batch_shape, stage.weights.shape[:-1]))
    batch = game.batch_shape
    pieces = flattened(game, stage)
    start = game.Q[..., 1, :, :].detach()
    flat = settle(
        lambda index: recursion(*pieces(index), rule.existence),
        start.flatten(0, len(batch) - 1) if batch else start,
        tolerance=tolerance,
        polish=polish,
        most=rule.most,
    )
    end = Settled(
        value=flat.value.reshape(start.shape),
        residual=flat.residual.reshape(batch),
        count=flat.count.reshape(batch),
        sound=flat.sound.reshape(batch),
    )
    look = stage_of(game, stage)

    def advance(v_xx: Tensor) -> Tensor:
        q, policy, _ = look(v_xx)
        return evaluate_policy(q, policy).v_xx

    v_xx = attach_gradient(advance, end.value, tolerance=tolerance, most=rule.most)
    solution = certified(game, stage, v_xx, end, rule)
    if raise_on_failure and bool((solution.codes != 0).any()):
        where = tuple(int(index) for index in (solution.codes != 0).nonzero()[0])
        place = f" in batch element {where}" if where else ""
        raise UnsolvableGameError(
            f"game: no stationary {stage.information} solution{place}: "
            f"{status_of(solution.codes[where])}"
        )
    return solution


def repeated_rule(
    game: LQGame,
    information: InformationStructure | str,
    weights: Tensor | None,
    leader: int | None,
) -> StageRule:
    """Make the rule of a stage that repeats forever from what the user asked for.

    Args:
        game: The game.
        information: The information structure or its name.
        weights: Weights of cooperative play, or None.
        leader: Leader of Stackelberg play, or None.

    Returns:
        The rule.

    Raises:
        InvalidInputError: naming the argument that does not fit an infinite horizon.
    """
    one_of("information", information, [structure.value for structure in InformationStructure])
    stage = stage_rule(game, InformationStructure(information), weights, leader)
    if stage.information in {
        InformationStructure.OPEN_LOOP,
        InformationStructure.OPEN_LOOP_STACKELBERG,
    }:
        raise InvalidInputError(f"information: expected play by policies, got {stage.information}")
    if game.horizon != 1:
        raise InvalidInputError(
            f"game: expected a horizon of 1, whose stage is repeated, got {game.horizon}"
        )
    for name in ("c", "q", "r"):
        if bool(getattr(game, name).detach().any()):
            raise InvalidInputError(f"game.{name}: expected zero for an infinite horizon")
    return stage
