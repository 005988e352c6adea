"""What has no solution is refused by name, and the kinds of failure are told apart."""

import math

import pytest
import torch
from lq_games import altered, attenuation, random_game, random_state

import ocngame as og
from ocngame.equilibria import is_equilibrium
from ocngame.errors import InvalidInputError, UnsolvableGameError
from ocngame.games import LQGame
from ocngame.solvers.lq import ExistenceRule, Status

from .dense_oracle import condensed_eigenvalues

ONE = torch.ones(1, 1, dtype=torch.float64)
EYE = torch.eye(2, dtype=torch.float64)


def status(game, information, **options):
    return og.solve(game, information=information, raise_on_failure=False, **options).status


def coupled(coupling: float) -> LQGame:
    """One stage, R^i = [[1, coupling], [coupling, 1]]: singular at coupling 1."""
    cost = torch.tensor([[1.0, coupling], [coupling, 1.0]], dtype=torch.float64)
    return LQGame.time_invariant(ONE, [0 * ONE, 0 * ONE], [ONE, ONE], [cost, cost], horizon=3)


def largest_gain(horizon: int) -> float:
    """Gain from w to x_1 .. x_T for x+ = x + w: the open-loop threshold of the attenuation."""
    return float(torch.linalg.svdvals(torch.ones(horizon, horizon).double().tril())[0])


@pytest.mark.parametrize("horizon", [3, 6, 10])
def test_attenuation_thresholds_are_told_apart(horizon):
    open_loop = largest_gain(horizon)
    above, below = attenuation(open_loop + 1e-3, horizon), attenuation(open_loop - 1e-3, horizon)
    assert status(above, "open_loop") is Status.SOLVED
    assert status(above, "zero_sum") is Status.SOLVED
    assert status(below, "zero_sum") is Status.SOLVED
    solution = og.solve(below, information="open_loop", raise_on_failure=False)
    assert solution.status is Status.CONDENSED_CURVATURE
    assert int(solution.fault.player) == 1
    assert condensed_eigenvalues(below)[1] < 0 < condensed_eigenvalues(below)[0]
    none = og.solve(attenuation(1.0, horizon), information="zero_sum", raise_on_failure=False)
    assert none.status is Status.OWN_CURVATURE
    assert int(none.fault.player) == 1


def test_feedback_nash_without_open_loop_nash():
    """Player 1's feedback keeps the state, and so player 2's reward for moving it, bounded."""
    R = [torch.diag(torch.tensor(r, dtype=torch.float64)) for r in ([1.0, 0.0], [0.0, 4.0])]
    game = LQGame.time_invariant(ONE, [ONE, ONE], [ONE, -ONE], R, horizon=8)
    assert og.solve(game).status is Status.SOLVED
    assert min(condensed_eigenvalues(game)) < 0
    with pytest.raises(
        UnsolvableGameError, match=r"no open_loop solution .* for player 1: .*convex"
    ):
        og.solve(game, information="open_loop")


def test_singular_system_is_named_and_is_not_negative_curvature():
    with pytest.raises(
        UnsolvableGameError, match=r"^game: no feedback solution at stage 2: the co"
    ):
        og.solve(coupled(1.0))
    for information in ("feedback", "stackelberg"):
        leader = 0 if information == "stackelberg" else None
        assert status(coupled(0.5), information, leader=leader) is Status.SOLVED
    assert status(coupled(1.0), "feedback") is Status.SINGULAR_SYSTEM
    assert status(coupled(1.0), "open_loop") is Status.SINGULAR_BOUNDARY
    assert status(coupled(1.0), "own_block") is Status.SOLVED
    assert status(coupled(-1.0), "cooperative") is Status.COALITION_CURVATURE


def test_condition_number_is_reported():
    solution = og.solve(coupled(0.5))
    torch.testing.assert_close(
        solution.certificate.condition, torch.full((3,), 3.0, dtype=torch.float64)
    )
    near = og.solve(coupled(1 - 1e-6))
    assert float(near.certificate.condition.max()) > 1e6
    with pytest.raises(UnsolvableGameError, match="singular"):
        og.solve(coupled(1 - 1e-6), existence=ExistenceRule(pivot=1e-5))


def test_followers_without_an_answer_are_a_singular_system():
    cost = torch.zeros(3, 3, dtype=torch.float64)
    cost[0, 0] = 1
    cost[1:, 1:] = torch.ones(2, 2)
    game = LQGame.time_invariant(ONE, [0 * ONE] * 3, [ONE] * 3, [cost, cost, cost], horizon=2)
    found = og.solve(game, information="stackelberg", leader=0, raise_on_failure=False)
    assert found.status is Status.SINGULAR_SYSTEM


@pytest.mark.parametrize("player", [0, 1])
@pytest.mark.parametrize("stage", [0, 2])
@pytest.mark.parametrize("information", ["feedback", "own_block", "open_loop"])
def test_negative_own_curvature_names_stage_and_player(player, stage, information):
    game = random_game(3)
    R = game.R.clone()
    block = game.control_slices[player]
    R[player, stage, block, block] -= 50 * torch.eye(block.stop - block.start).double()
    solution = og.solve(altered(game, R=R), information=information, raise_on_failure=False)
    expected = Status.CONDENSED_CURVATURE if information == "open_loop" else Status.OWN_CURVATURE
    assert solution.status is expected
    assert (int(solution.fault.stage), int(solution.fault.player)) == (stage, player)
    assert float(solution.certificate.own_curvature[player, stage]) < 0
    assert bool(torch.isnan(solution.policies.feedback).all())
    assert bool(torch.isnan(solution.v_xx).all())
    with pytest.raises(UnsolvableGameError, match=f"at stage {stage} for player {player}: "):
        og.solve(altered(game, R=R), information=information)


def test_a_leader_needs_curvature_after_the_answer_only():
    """The leader's own block is negative, but the follower's answer makes moving costly."""
    lead = torch.tensor([[-0.5, 0.0], [0.0, 4.0]], dtype=torch.float64)
    follow = torch.tensor([[1.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    game = LQGame.time_invariant(ONE, [0 * ONE] * 2, [ONE] * 2, [lead, follow], horizon=1)
    assert status(game, "feedback") is Status.OWN_CURVATURE
    solution = og.solve(game, information="stackelberg", leader=0)
    torch.testing.assert_close(
        solution.certificate.own_curvature[:, 0], torch.tensor([3.5, 1.0], dtype=torch.float64)
    )
    torch.testing.assert_close(
        solution.certificate.curvature_scale[:, 0], torch.tensor([4.0, 1.0], dtype=torch.float64)
    )


def test_zero_curvature_is_not_rounded_into_existence():
    """b p b + r is zero in exact arithmetic, and here and there a rounding above zero."""
    rounded = []
    for tenths in range(1, 60):
        p, b = tenths / 10, 0.1
        game = LQGame.time_invariant(ONE, [b * ONE], [p * ONE], [-p / 100 * ONE], horizon=1)
        assert status(game, "feedback") is Status.OWN_CURVATURE
        assert status(game, "open_loop") is Status.CONDENSED_CURVATURE
        found = og.solve(game, raise_on_failure=False).certificate.own_curvature
        rounded.append(float(found))
    assert max(rounded) > 0
    assert max(rounded) < 1e-16


def test_overflow_is_named():
    big = 1e200 * ONE
    game = LQGame.time_invariant(big, [ONE], [ONE], [ONE], horizon=3)
    found = og.solve(game, raise_on_failure=False)
    assert found.status is Status.NON_FINITE
    assert int(found.fault.stage) == 1
    with pytest.raises(UnsolvableGameError, match="overflowed"):
        og.solve(game)


def test_overflow_of_the_constant_alone_is_named():
    game = LQGame.time_invariant(0 * ONE, [ONE], [ONE], [ONE], horizon=2)
    pushed = altered(game, c=torch.full((2, 1), 1e200, dtype=torch.float64))
    assert status(pushed, "feedback") is Status.NON_FINITE


def test_indefinite_costs_with_a_solution_are_solved():
    game = random_game(5)
    Q = game.Q.clone()
    Q[:, :-1] -= 0.3 * torch.eye(3, dtype=torch.float64)
    assert float(torch.linalg.eigvalsh(Q).min()) < 0
    solution = og.solve(altered(game, Q=Q), x0=random_state(5, game))
    assert bool(is_equilibrium(altered(game, Q=Q), solution, tolerance=1e-10))


def test_every_status_is_a_sentence_with_a_remedy():
    for one in Status:
        assert one is Status.SOLVED or ": " in one.value
        assert len(one.value) > 40


@pytest.mark.parametrize("bad", [-1.0, math.nan])
def test_rule_checks_itself(bad):
    with pytest.raises(InvalidInputError, match=r"^curvature"):
        ExistenceRule(curvature=bad)
    with pytest.raises(InvalidInputError, match=r"^pivot"):
        ExistenceRule(pivot=bad)
