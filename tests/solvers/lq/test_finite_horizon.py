"""Finite-horizon solutions against dense oracles, and the properties that define them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lq_games import altered, games, random_game

import ocngame as og
from ocngame.bellman import evaluate_policies
from ocngame.errors import InvalidInputError, UnknownNameError
from ocngame.games import LQGame

from .dense_oracle import condensed_eigenvalues, feedback_gains, open_loop_controls

NASH = ("feedback", "open_loop")
EVERY = ("feedback", "open_loop", "cooperative", "own_block", "stackelberg")
few = settings(max_examples=25)


def solve(game: LQGame, information: str, **options):
    if information == "stackelberg":
        options.setdefault("leader", 0)
    return og.solve(game, information=information, **options)


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@few
@given(games())
def test_feedback_is_the_textbook_recursion(drawn):
    game, x0 = drawn.make()
    solution = solve(game, "feedback", x0=x0)
    gains, values = feedback_gains(game)
    n = game.state_size
    for t, P in enumerate(gains):
        close(solution.policies.feedback[t], -P[:, :n])
        close(solution.policies.feedforward[t], -P[:, n])
    z = torch.cat([x0, torch.ones(1, dtype=x0.dtype)])
    close(solution.value(), torch.stack([0.5 * z @ Z @ z for Z in values]))


@few
@given(games())
def test_open_loop_is_the_dense_system_over_the_horizon(drawn):
    game, x0 = drawn.make()
    solution = solve(game, "open_loop", x0=x0)
    close(solution.controls, open_loop_controls(game, x0))


@few
@given(games())
def test_condensed_curvature_has_the_sign_of_the_dense_hessian(drawn):
    game, _ = drawn.make()
    # Lower each own state cost until some condensed Hessians are indefinite and others are not.
    for shift in (0.0, 0.5, 2.0):
        eye = torch.eye(game.state_size, dtype=torch.float64)
        lowered = altered(game, Q=game.Q - shift * eye)
        found = solve(lowered, "open_loop", raise_on_failure=False).certificate.own_curvature
        for i, smallest in enumerate(condensed_eigenvalues(lowered)):
            if abs(smallest) > 1e-6:
                assert bool((found[i] > 0).all()) == (smallest > 0)


@few
@given(games())
def test_team_game_is_one_controller(drawn):
    """With one shared cost, feedback, open loop and cooperation are the same optimum."""
    game, x0 = drawn.make()
    shared = {
        name: getattr(game, name)[:1].expand_as(getattr(game, name))
        for name in ("Q", "q", "R", "r", "M")
    }
    team = altered(game, **shared)
    optimum = solve(team.team(), "feedback", x0=x0)
    for information in ("feedback", "open_loop", "cooperative"):
        close(solve(team, information, x0=x0).controls, optimum.controls)
    close(solve(team, "feedback").policies.feedback, optimum.policies.feedback)


@few
@given(games())
def test_one_player_has_one_solution(drawn):
    game, x0 = drawn.make()
    one = game.team()
    expected = solve(one, "feedback", x0=x0)
    for information in ("open_loop", "cooperative", "own_block", "stackelberg"):
        other = solve(one, information, x0=x0)
        close(other.policies.feedback, expected.policies.feedback)
        close(other.controls, expected.controls)
        close(other.v_xx, expected.v_xx)


@few
@given(st.integers(0, 1000))
def test_decoupled_players_solve_their_own_problems(seed):
    parts = [random_game(seed + i, sizes=(size,), states=2) for i, size in enumerate((1, 2))]

    def blocks(name):
        first, second = (getattr(part, name) for part in parts)
        pairs = zip(first.flatten(0, -3), second.flatten(0, -3), strict=True)
        joined = torch.stack([torch.block_diag(a, b) for a, b in pairs])
        return joined.reshape(*first.shape[:-2], *joined.shape[-2:])

    def own(name, matrix):
        first, second = (getattr(part, name)[0] for part in parts)
        if matrix:
            zeros = torch.zeros_like(first), torch.zeros_like(second)
            pair = [(first, zeros[1]), (zeros[0], second)]
            return torch.stack(
                [
                    torch.stack([torch.block_diag(a, b) for a, b in zip(*two, strict=True)])
                    for two in pair
                ]
            )
        return torch.stack(
            [
                torch.cat([first, torch.zeros_like(second)], -1),
                torch.cat([torch.zeros_like(first), second], -1),
            ]
        )

    game = LQGame(
        A=blocks("A"),
        B=blocks("B"),
        c=torch.cat([part.c for part in parts], -1),
        Q=own("Q", True),
        q=own("q", False),
        R=own("R", True),
        r=own("r", False),
        M=own("M", True),
        control_slices=(slice(0, 1), slice(1, 3)),
    )
    alone = [solve(part, "feedback") for part in parts]
    for information in ("feedback", "open_loop", "stackelberg", "own_block", "cooperative"):
        joint = solve(game, information)
        for solution, x, u in zip(
            alone, (slice(0, 2), slice(2, 4)), game.control_slices, strict=True
        ):
            close(joint.policies.feedback[:, u, x], solution.policies.feedback)
            close(joint.policies.feedforward[:, u], solution.policies.feedforward)
        assert float(joint.policies.feedback[:, 0:1, 2:4].abs().max()) < 1e-12


@few
@given(games(), st.sampled_from(EVERY))
def test_value_is_the_rolled_out_cost(drawn, information):
    game, x0 = drawn.make()
    solution = solve(game, information, x0=x0)
    close(solution.value(), game.costs(solution.states, solution.controls))
    close(game.simulate(solution.controls, x0), solution.states)


@few
@given(games(), st.sampled_from(("feedback", "open_loop", "own_block", "stackelberg")))
def test_units_of_one_players_cost_do_not_matter(drawn, information):
    game, _ = drawn.make()
    factor = torch.ones(game.player_count, dtype=torch.float64)
    factor[-1] = 1e6
    scaled = {
        name: factor.reshape(-1, *(1,) * (getattr(game, name).ndim - 1)) * getattr(game, name)
        for name in ("Q", "q", "R", "r", "M")
    }
    a, b = solve(game, information), solve(altered(game, **scaled), information)
    close(a.certificate.pivot, b.certificate.pivot)
    close(a.certificate.condition, b.certificate.condition)
    close(a.policies.feedback, b.policies.feedback)
    close(a.policies.feedforward, b.policies.feedforward)


@few
@given(games(), st.sampled_from(("feedback", "open_loop", "own_block", "stackelberg")))
def test_players_may_be_listed_in_any_order(drawn, information):
    game, _ = drawn.make()
    flipped = LQGame(
        A=game.A,
        B=game.B,
        c=game.c,
        control_slices=game.control_slices[::-1],
        **{name: getattr(game, name).flip(0) for name in ("Q", "q", "R", "r", "M")},
    )
    leads = information == "stackelberg"
    a = og.solve(game, information=information, leader=0 if leads else None)
    last = game.player_count - 1
    b = og.solve(flipped, information=information, leader=last if leads else None)
    close(a.policies.feedback, b.policies.feedback)
    close(a.policies.feedforward, b.policies.feedforward)
    close(a.v_xx, b.v_xx.flip(0))
    close(a.certificate.own_curvature, b.certificate.own_curvature.flip(0))


@few
@given(games(), st.sampled_from(EVERY))
def test_coordinates_of_the_state_do_not_matter(drawn, information):
    game, x0 = drawn.make()
    n = game.state_size
    generator = torch.Generator().manual_seed(n)
    to = torch.eye(n) + 0.3 * torch.randn(n, n, generator=generator, dtype=torch.float64)
    back = torch.linalg.inv(to)
    Q = back.T @ game.Q @ back
    moved = LQGame(
        A=to @ game.A @ back,
        B=to @ game.B,
        c=game.c @ to.T,
        Q=0.5 * (Q + Q.mT),
        q=game.q @ back,
        R=game.R,
        r=game.r,
        M=back.T @ game.M,
        control_slices=game.control_slices,
    )
    a, b = solve(game, information, x0=x0), solve(moved, information, x0=to @ x0)
    close(b.policies.feedback, a.policies.feedback @ back, 1e-8)
    close(b.controls, a.controls, 1e-8)
    close(b.states, a.states @ to.T, 1e-8)


@few
@given(st.integers(0, 1000))
def test_zero_sum_values_are_opposite_and_feedback_agrees(seed):
    one = random_game(seed, sizes=(1, 2))
    R = one.R[0].clone()
    R[:, 1:, 1:] -= 300 * torch.eye(2, dtype=torch.float64)
    cost = {"Q": one.Q[0], "q": one.q[0], "R": R, "r": one.r[0], "M": one.M[0]}
    game = altered(one, **{name: torch.stack([piece, -piece]) for name, piece in cost.items()})
    saddle = solve(game, "zero_sum")
    close(saddle.v_xx[0], -saddle.v_xx[1])
    close(saddle.v[0], -saddle.v[1])
    close(saddle.policies.feedback, solve(game, "feedback").policies.feedback)


@few
@given(games(), st.integers(0, 2))
def test_leader_does_best_among_what_the_others_would_answer(drawn, leader):
    """At the last stage: no announced control costs the leader less, once it is answered."""
    game, x0 = drawn.make()
    leader = min(leader, game.player_count - 1)
    solution = solve(game, "stackelberg", leader=leader)
    last = game.horizon - 1
    q = evaluate_policies(game, solution.policies).certificates[last]
    own = game.control_slices[leader]
    followers = [i for i in range(game.player_count) if i != leader]
    rows = [c for i in followers for c in range(game.control_size)[game.control_slices[i]]]

    def cost_of(announced):
        u = torch.zeros(game.control_size, dtype=torch.float64)
        u[own] = announced
        if rows:
            system = torch.cat([q.q_uu[i, game.control_slices[i], :] for i in followers])
            right = torch.cat(
                [(q.q_u[i] + q.q_ux[i] @ x0)[game.control_slices[i]] for i in followers]
            )
            u[rows] = torch.linalg.solve(system[:, rows], -right - system @ u)
        slope = q.q_u[leader] + q.q_ux[leader] @ x0
        return slope @ u + 0.5 * u @ q.q_uu[leader] @ u

    best = solution.policies.feedforward[last] + solution.policies.feedback[last] @ x0
    generator = torch.Generator().manual_seed(0)
    lowest = cost_of(best[own])
    for scale in (1e-2, 1.0):
        move = scale * torch.randn(own.stop - own.start, generator=generator, dtype=torch.float64)
        assert cost_of(best[own] + move) > lowest
        assert cost_of(best[own] - move) > lowest
        close(cost_of(best[own] + move) - lowest, cost_of(best[own] - move) - lowest, 1e-7)


def test_a_leader_gains_over_simultaneous_play():
    game, x0 = random_game(1, sizes=(1, 1), horizon=1), torch.ones(3, dtype=torch.float64)
    nash = solve(game, "feedback").value(x0)
    for leader in (0, 1):
        leading = solve(game, "stackelberg", leader=leader).value(x0)
        assert leading[leader] < nash[leader] - 1e-9


def test_weights_choose_among_cooperative_solutions():
    game, x0 = random_game(2), torch.ones(3, dtype=torch.float64)
    costs = [
        solve(game, "cooperative", weights=torch.tensor(w, dtype=torch.float64)).value(x0)
        for w in ([0.9, 0.1], [0.5, 0.5], [0.1, 0.9])
    ]
    assert costs[0][0] < costs[1][0] < costs[2][0]
    assert costs[0][1] > costs[1][1] > costs[2][1]


def test_weights_may_have_another_precision():
    game = random_game(2)
    weights = torch.tensor([0.25, 0.5])
    single = solve(game, "cooperative", weights=weights)
    close(single.v_xx, solve(game, "cooperative", weights=weights.double()).v_xx, 1e-15)
    assert single.weights.dtype == torch.float64


def test_known_scalar_answer():
    """x+ = x + u1 + u2, J^i = 1/2 (x_1^2 + u_i^2): K = -1/3 each."""
    one = torch.ones(1, 1, dtype=torch.float64)
    game = LQGame.time_invariant(
        one, [one, one], [0 * one] * 2, [one] * 2, horizon=1, terminal=[one] * 2
    )
    for information in NASH:
        K = solve(game, information).policies.feedback[0]
        close(K, torch.full((2, 1), -1 / 3, dtype=torch.float64), 1e-15)
    leader = solve(game, "stackelberg", leader=0).policies.feedback[0, :, 0]
    close(leader, torch.tensor([-0.2, -0.4], dtype=torch.float64), 1e-15)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"information": "feed_back"}, UnknownNameError, "did you mean 'feedback'"),
        ({"information": "stackelberg"}, InvalidInputError, r"^leader: .* in 0\.\.1, got None"),
        ({"information": "stackelberg", "leader": 2}, InvalidInputError, r"^leader: .*got 2"),
        ({"leader": 0}, InvalidInputError, "^leader: expected None for feedback play"),
        ({"weights": torch.ones(2)}, InvalidInputError, "^weights: expected None unless"),
        (
            {"information": "cooperative", "weights": torch.ones(3)},
            InvalidInputError,
            r"^weights: expected shape \(\.\.\., N\) with N=2",
        ),
        (
            {"information": "cooperative", "weights": torch.tensor([1.0, -1.0])},
            InvalidInputError,
            "^weights: expected non-negative",
        ),
        (
            {"information": "cooperative", "weights": torch.tensor([1.0, torch.nan])},
            InvalidInputError,
            "^weights: expected finite",
        ),
        ({"information": "zero_sum"}, InvalidInputError, "^game: .* opposite costs"),
        ({"x0": torch.ones(2)}, InvalidInputError, "^x0: .*n=3"),
        ({"x0": torch.ones(3)}, InvalidInputError, "^x0: .*float64 on cpu as game.A, got .*32"),
        ({"x0": torch.full((3,), torch.inf).double()}, InvalidInputError, "^x0: expected finite"),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        og.solve(random_game(0), **options)


def test_a_value_needs_a_state():
    with pytest.raises(InvalidInputError, match=r"^x0"):
        og.solve(random_game(0)).value()
