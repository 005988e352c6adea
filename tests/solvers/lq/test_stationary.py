"""Infinite-horizon solutions against invariant subspaces and against the finite horizon."""

import math

import pytest
import torch
from lq_games import altered, attenuation, definite, normal

import ocngame as og
from ocngame.errors import InvalidInputError, UnsolvableGameError
from ocngame.games import LQGame
from ocngame.solvers.lq import StationaryRule, Status, solve_stationary

ONE = torch.ones(1, 1, dtype=torch.float64)


def stationary_game(
    seed: int,
    batch: tuple[int, ...] = (),
    horizon: int = 1,
    states: int = 3,
    sizes: tuple[int, ...] = (1, 2),
) -> LQGame:
    generator = torch.Generator().manual_seed(seed)
    n, m = states, sum(sizes)
    A = torch.eye(n) + 0.2 * normal(generator, *batch, n, n)
    B = [0.6 * normal(generator, *batch, n, size) for size in sizes]
    Q = [definite(generator, *batch, n, n, scale=1.0) + 0.1 * torch.eye(n) for _ in range(2)]
    R = [definite(generator, *batch, m, m, scale=0.2) + torch.eye(m) for _ in range(2)]
    M = [0.05 * normal(generator, *batch, n, m) for _ in range(2)]
    return LQGame.time_invariant(A, B, Q, R, horizon=horizon, M=M)


def riccati_by_subspace(game: LQGame) -> torch.Tensor:
    """Solve the first player's algebraic Riccati equation over the joint control.

    The stable invariant subspace of the symplectic matrix, after removal of the cross term.
    """
    A, B, Q, R, M = game.A[0], game.B[0], game.Q[0, 0], game.R[0, 0], game.M[0, 0]
    shift = torch.linalg.solve(R, M.T)
    A, Q = A - B @ shift, Q - M @ shift
    spread, back = B @ torch.linalg.solve(R, B.T), torch.linalg.inv(A).T
    upper = torch.cat([A + spread @ back @ Q, -spread @ back], 1)
    values, vectors = torch.linalg.eig(torch.cat([upper, torch.cat([-back @ Q, back], 1)]))
    stable = vectors[:, values.abs() < 1]
    n = A.shape[0]
    return torch.linalg.solve(stable[:n].T, stable[n:].T).T.real


@pytest.mark.parametrize("seed", range(3))
def test_cooperation_is_one_riccati_equation(seed):
    game = stationary_game(seed)
    weights = torch.tensor([0.7, 0.4], dtype=torch.float64)
    found = solve_stationary(game, information="cooperative", weights=weights)
    total = (weights[:, None, None] * found.v_xx).sum(0)
    expected = riccati_by_subspace(game.team(weights))
    torch.testing.assert_close(total, expected, rtol=1e-9, atol=1e-9)


def test_zero_sum_is_the_game_riccati_equation():
    game = attenuation(3.0, 1)
    found = solve_stationary(game, information="zero_sum")
    torch.testing.assert_close(found.v_xx[0], riccati_by_subspace(game), rtol=1e-10, atol=0)
    torch.testing.assert_close(found.v_xx[0], -found.v_xx[1], rtol=1e-10, atol=0)


@pytest.mark.parametrize("information", ["feedback", "cooperative", "own_block", "stackelberg"])
@pytest.mark.parametrize("seed", range(3))
def test_every_finite_horizon_that_ends_in_the_value_has_the_policy(information, seed):
    game = stationary_game(seed)
    leader = 1 if information == "stackelberg" else None
    found = solve_stationary(game, information=information, leader=leader)
    assert found.status is Status.SOLVED
    assert float(found.residual) < 1e-12
    assert float(found.spectral_radius) < 1
    longer = stationary_game(seed, horizon=5)
    ends = altered(longer, Q=torch.cat([longer.Q[:, :-1], found.v_xx.unsqueeze(1)], 1))
    finite = og.solve(ends, information=information, leader=leader)
    torch.testing.assert_close(
        finite.policies.feedback, found.feedback.expand(5, 3, 3), rtol=1e-9, atol=1e-9
    )
    torch.testing.assert_close(finite.v_xx[:, 0], found.v_xx, rtol=1e-9, atol=1e-9)


def test_coupled_riccati_equations_hold_as_written_in_the_book():
    game = stationary_game(4)
    found = solve_stationary(game)
    A, B, K = game.A[0], game.B[0], found.feedback
    for i, block in enumerate(game.control_slices):
        Q, R, M, V = game.Q[i, 0], game.R[i, 0], game.M[i, 0], found.v_xx[i]
        F = A + B @ K
        right = Q + M @ K + K.T @ M.T + K.T @ R @ K + F.T @ V @ F
        torch.testing.assert_close(V, right, rtol=1e-11, atol=1e-11)
        own = (R @ K + M.T + B.T @ V @ F)[block]
        assert float(own.abs().max()) < 1e-11


def test_attenuation_below_its_threshold_has_no_stationary_saddle():
    """x+ = x + u + w: the game Riccati equation has a solution for gamma^2 > 2 only."""
    assert solve_stationary(attenuation(math.sqrt(2.05), 1), information="zero_sum").solved
    found = solve_stationary(
        attenuation(math.sqrt(1.9), 1), information="zero_sum", raise_on_failure=False
    )
    assert found.status in {Status.OWN_CURVATURE, Status.NOT_CONVERGED}
    assert bool(torch.isnan(found.feedback).all())


def slow_game(seed: int, horizon: int = 1, dtype: torch.dtype = torch.float64) -> LQGame:
    """A state that turns for hundreds of stages, and little to hold it with."""
    generator = torch.Generator().manual_seed(seed)
    turn, _ = torch.linalg.qr(normal(generator, 6, 6))
    B = [0.05 * normal(generator, 6, 2) for _ in range(2)]
    Q = [definite(generator, 6, 6, scale=6e-3) for _ in range(2)]
    pieces = [0.995 * turn, *B, *Q, torch.eye(2, dtype=torch.float64)]
    A, b, d, q, p, R = (piece.to(dtype) for piece in pieces)
    return LQGame.time_invariant(A, [b, d], [q, p], [R, R], horizon=horizon)


@pytest.mark.parametrize("seed", range(2))
def test_a_loop_that_forgets_slowly_is_reached_in_few_stages(seed):
    found = solve_stationary(slow_game(seed))
    assert float(found.spectral_radius) > 0.985
    assert float(found.residual) < 1e-13
    assert int(found.stages) < 100
    finite = og.solve(slow_game(seed, horizon=1200))
    torch.testing.assert_close(finite.policies.feedback[0], found.feedback, rtol=1e-5, atol=1e-7)


def test_the_default_tolerance_is_reached_in_float32():
    found = solve_stationary(slow_game(0, dtype=torch.float32))
    exact = solve_stationary(slow_game(0))
    assert float(found.residual) < 1e-5
    torch.testing.assert_close(found.feedback.double(), exact.feedback, rtol=1e-3, atol=1e-4)


def test_without_a_smaller_residual_the_recursion_ends():
    """A tolerance below rounding is not reached, and not waited for 10,000 stages."""
    found = solve_stationary(
        stationary_game(0), rule=StationaryRule(tolerance=1e-300), raise_on_failure=False
    )
    assert found.solved or found.status is Status.NOT_CONVERGED
    assert int(found.stages) < 1000
    assert float(found.residual) < 1e-13


def test_failures_are_told_apart():
    still = LQGame.time_invariant(2 * ONE, [ONE], [0 * ONE], [ONE], horizon=1)
    assert solve_stationary(still, raise_on_failure=False).status is Status.UNSTABLE
    lost = LQGame.time_invariant(2 * ONE, [0 * ONE], [ONE], [ONE], horizon=1)
    assert solve_stationary(lost, raise_on_failure=False).status is Status.NOT_CONVERGED
    flat = LQGame.time_invariant(ONE, [ONE], [ONE], [-3 * ONE], horizon=1)
    assert solve_stationary(flat, raise_on_failure=False).status is Status.OWN_CURVATURE
    slow = solve_stationary(stationary_game(0), rule=StationaryRule(most=3), raise_on_failure=False)
    assert slow.status is Status.NOT_CONVERGED
    assert int(slow.stages) == 3
    with pytest.raises(UnsolvableGameError, match="no stationary feedback solution: the station"):
        solve_stationary(still)


def test_batch_equals_one_by_one_and_failures_stay_alone():
    game = stationary_game(5, batch=(3,))
    A = game.A.clone()
    B = game.B.clone()
    A[1], B[1] = 2 * torch.eye(3), 0
    mixed = altered(game, A=A, B=B)
    found = solve_stationary(mixed, raise_on_failure=False)
    assert found.status == [Status.SOLVED, Status.NOT_CONVERGED, Status.SOLVED]
    assert bool(torch.isnan(found.v_xx[1]).all())
    names = ("A", "B", "Q", "R", "c", "q", "r", "M")
    one = solve_stationary(altered(game, **{name: getattr(game, name)[2] for name in names}))
    torch.testing.assert_close(found.v_xx[2], one.v_xx, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found.feedback[2], one.feedback, rtol=1e-10, atol=1e-10)
    with pytest.raises(UnsolvableGameError, match=r"in batch element \(1,\)"):
        solve_stationary(mixed)


@pytest.mark.parametrize("information", ["feedback", "cooperative"])
def test_gradients_are_those_of_finite_differences(information):
    game = stationary_game(6, states=2, sizes=(1, 1))
    names = ("A", "B", "Q", "R", "M")
    pieces = [getattr(game, name).clone().requires_grad_() for name in names]

    def outputs(*pieces):
        given = dict(zip(names, pieces, strict=True))
        for name in ("Q", "R"):
            given[name] = 0.5 * (given[name] + given[name].mT)
        found = solve_stationary(altered(game, **given), information=information)
        return found.feedback, found.v_xx

    assert torch.autograd.gradcheck(outputs, pieces, atol=1e-5)


def test_bad_input_is_named():
    game = stationary_game(0)
    for call, message in (
        (lambda: solve_stationary(stationary_game(0, horizon=2)), "^game: expected a horizon of 1"),
        (lambda: solve_stationary(game, information="open_loop"), "^information: expected play"),
        (lambda: solve_stationary(altered(game, c=game.c + 1)), r"^game\.c: expected zero"),
        (lambda: StationaryRule(tolerance=0.0), "^tolerance: "),
        (lambda: StationaryRule(most=0), "^most: "),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call()
