"""The checks of equilibria against brute force, on solutions and on what is none."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lq_games import altered, attenuation, games, random_game, random_state
from torch import Tensor

import ocngame as og
from ocngame.bellman import AffinePolicy, best_response, constant_policies, play_policies
from ocngame.equilibria import (
    Candidate,
    classify,
    deviation_gain,
    is_equilibrium,
    own_curvature,
    own_gradient,
    residuals,
)
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, LQGame

FEEDBACK, OPEN_LOOP = InformationStructure.FEEDBACK, InformationStructure.OPEN_LOOP
COOPERATIVE, STACKELBERG = InformationStructure.COOPERATIVE, InformationStructure.STACKELBERG
few = settings(max_examples=20)


def some_policies(game: LQGame, seed: int, scale: float = 0.3) -> AffinePolicy:
    generator = torch.Generator().manual_seed(seed)
    T, m, n = game.horizon, game.control_size, game.state_size
    return AffinePolicy(
        feedforward=torch.randn(T, m, generator=generator, dtype=torch.float64),
        feedback=scale * torch.randn(T, m, n, generator=generator, dtype=torch.float64),
    )


def cost_of_deviating(game: LQGame, policies: AffinePolicy, x0: Tensor, player: int, own: Tensor):
    """Player's cost when it plays the sequence `own` and the others their policies."""
    x, xs, us = x0, [x0], []
    for t in range(game.horizon):
        u = policies.feedforward[t] + policies.feedback[t] @ x
        u = torch.cat(
            [u[: game.control_slices[player].start], own[t], u[game.control_slices[player].stop :]]
        )
        x = game.A[t] @ x + game.B[t] @ u + game.c[t]
        xs.append(x)
        us.append(u)
    return game.costs(torch.stack(xs), torch.stack(us))[player]


def brute_force_gain(game: LQGame, policies: AffinePolicy, x0: Tensor, player: int) -> Tensor:
    """Minimise over the whole own sequence with autograd's gradient and Hessian."""
    block = game.control_slices[player]
    shape = (game.horizon, block.stop - block.start)

    def cost(flat: Tensor) -> Tensor:
        return cost_of_deviating(game, policies, x0, player, flat.reshape(shape))

    zero = torch.zeros(shape, dtype=torch.float64).flatten()
    hessian = torch.autograd.functional.hessian(cost, zero)
    slope = torch.autograd.functional.jacobian(cost, zero)
    best = cost(-torch.linalg.solve(hessian, slope))
    states, controls = play_policies(game, policies, x0)
    return game.costs(states, controls)[player] - best


@few
@given(games(), st.integers(0, 100))
def test_gain_is_that_of_brute_force(drawn, seed):
    game, x0 = drawn.make()
    policies = some_policies(game, seed)
    _, controls = play_policies(game, policies, x0)
    fixed = constant_policies(controls, game.state_size)
    for information, faced in ((FEEDBACK, policies), (OPEN_LOOP, fixed)):
        found = deviation_gain(game, Candidate(policies=policies, x0=x0), information)
        for i in range(game.player_count):
            expected = brute_force_gain(game, faced, x0, i)
            torch.testing.assert_close(found.gain[i], expected, rtol=1e-8, atol=1e-8)
    team = deviation_gain(game, Candidate(policies=policies, x0=x0), COOPERATIVE)
    expected = brute_force_gain(game.team(), policies, x0, 0)
    torch.testing.assert_close(team.gain[0], expected, rtol=1e-8, atol=1e-8)


@few
@given(games(), st.integers(0, 100))
def test_gain_is_the_difference_of_values(drawn, seed):
    """Completion of squares against the value of the best response."""
    game, x0 = drawn.make()
    policies = some_policies(game, seed)
    best = best_response(game, policies).values
    value = best.v + best.v_x @ x0 + 0.5 * ((best.v_xx @ x0) @ x0)
    states, controls = play_policies(game, policies, x0)
    gain = deviation_gain(game, Candidate(policies=policies, x0=x0)).gain
    torch.testing.assert_close(gain, game.costs(states, controls) - value, rtol=1e-8, atol=1e-8)


@few
@given(games(), st.integers(0, 100))
def test_own_gradient_is_that_of_autograd(drawn, seed):
    game, x0 = drawn.make()
    policies = some_policies(game, seed)
    k = policies.feedforward.clone().requires_grad_()
    states, controls = play_policies(
        game, AffinePolicy(feedforward=k, feedback=policies.feedback), x0
    )
    costs = game.costs(states, controls)
    found = own_gradient(game, policies, x0)
    for i, block in enumerate(game.control_slices):
        (expected,) = torch.autograd.grad(costs[i], k, retain_graph=True)
        torch.testing.assert_close(found[:, block], expected[:, block], rtol=1e-9, atol=1e-9)


def test_own_gradient_follows_the_controls_not_the_players():
    game = random_game(3)
    flipped = LQGame(
        A=game.A,
        B=game.B,
        c=game.c,
        control_slices=game.control_slices[::-1],
        **{name: getattr(game, name).flip(0) for name in ("Q", "q", "R", "r", "M")},
    )
    policies, x0 = some_policies(game, 0), random_state(3, game)
    torch.testing.assert_close(
        own_gradient(flipped, policies, x0), own_gradient(game, policies, x0)
    )


@few
@given(games(), st.sampled_from(("feedback", "open_loop", "cooperative")))
def test_nobody_gains_by_leaving_a_solution(drawn, information):
    game, x0 = drawn.make()
    solution = og.solve(game, information=information, x0=x0)
    found = deviation_gain(game, solution)
    assert float(found.relative.max()) < 1e-12
    assert float(found.subgame_relative.max()) < 1e-12
    assert float(residuals(game, solution).max()) < 1e-12
    assert float(own_curvature(game, solution).min()) > 0
    assert bool(is_equilibrium(game, solution, tolerance=1e-10))


@few
@given(games())
def test_solutions_are_stationary_in_the_own_feedforward(drawn):
    game, x0 = drawn.make()
    feedback = og.solve(game, x0=x0)
    assert float(own_gradient(game, feedback.policies, x0).abs().max()) < 1e-9
    controls = og.solve(game, information="open_loop", x0=x0).controls
    committed = constant_policies(controls, game.state_size)
    assert float(own_gradient(game, committed, x0).abs().max()) < 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_each_solution_passes_as_what_it_is_and_fails_as_the_others(seed):
    """Feedback passes as feedback and fails as open loop, and the reverse; so do all kinds."""
    game = random_game(seed, sizes=(2, 1, 1), states=4, horizon=6)
    x0 = random_state(seed, game)
    kinds = [FEEDBACK, OPEN_LOOP, COOPERATIVE, STACKELBERG, InformationStructure.OWN_BLOCK]
    for kind in kinds:
        leader = 1 if kind is STACKELBERG else None
        solution = og.solve(game, information=kind, x0=x0, leader=leader)
        verdicts = classify(game, solution, tolerance=1e-6, leader=1)
        assert set(verdicts) == set(kinds)
        assert {name for name, verdict in verdicts.items() if verdict} == {kind}


def test_open_loop_controls_as_constant_policies_are_not_subgame_perfect():
    """Nobody gains on the path, since nobody reacts; entered elsewhere, a stage is played badly."""
    game = random_game(7)
    x0 = random_state(7, game)
    controls = og.solve(game, information="open_loop", x0=x0).controls
    still = Candidate(policies=constant_policies(controls, game.state_size), x0=x0)
    found = deviation_gain(game, still, FEEDBACK)
    assert float(found.relative.max()) < 1e-12
    assert float(found.subgame_relative.min()) > 1e-3
    assert not bool(is_equilibrium(game, still, FEEDBACK, tolerance=1e-6))
    assert bool(is_equilibrium(game, still, OPEN_LOOP, tolerance=1e-10))


@few
@given(games(), st.integers(0, 100))
def test_subgame_gain_bounds_what_any_subgame_gives(drawn, seed):
    game, x0 = drawn.make()
    policies = some_policies(game, seed)
    found = deviation_gain(game, Candidate(policies=policies, x0=x0), radius=0.5)
    states, _ = play_policies(game, policies, x0)
    generator = torch.Generator().manual_seed(seed)
    for t in range(game.horizon):
        move = torch.randn(game.state_size, generator=generator, dtype=torch.float64)
        start = states[t] + 0.5 * move / move.norm()
        rest = LQGame(
            A=game.A[t:],
            B=game.B[t:],
            c=game.c[t:],
            Q=game.Q[:, t:],
            q=game.q[:, t:],
            R=game.R[:, t:],
            r=game.r[:, t:],
            M=game.M[:, t:],
            control_slices=game.control_slices,
        )
        tail = AffinePolicy(feedforward=policies.feedforward[t:], feedback=policies.feedback[t:])
        gain = deviation_gain(rest, Candidate(policies=tail, x0=start)).gain
        assert bool((gain <= found.subgame_gain * (1 + 1e-9) + 1e-12).all())


def test_the_second_order_condition_is_asked_for():
    """Between the thresholds the stationary open-loop point is a maximum for the adversary."""
    game = attenuation(2.5, 6)
    x0 = torch.ones(1, dtype=torch.float64)
    saddle = og.solve(game, information="zero_sum", x0=x0)
    verdicts = classify(game, saddle, tolerance=1e-9)
    assert bool(verdicts[FEEDBACK])
    assert bool(verdicts[InformationStructure.ZERO_SUM])
    assert not bool(verdicts[OPEN_LOOP])
    committed = deviation_gain(game, saddle, OPEN_LOOP)
    assert committed.gain.tolist()[1] == torch.inf
    assert float(committed.own_curvature[1].min()) < 0 < float(committed.own_curvature[0].min())


def test_curvature_of_a_best_response_is_the_own_block():
    game = random_game(8)
    own = best_response(game, some_policies(game, 0)).curvature
    for i, block in enumerate(game.control_slices):
        assert float(own[i, :, block, block].abs().min()) > 0
        own[i, :, block, block] = 0
    assert not own.any()


def test_feedback_counts_at_rest_too():
    """From the origin the path stays there, whatever the feedback is; subgames elsewhere do not."""
    game = random_game(9, affine=False)
    x0 = torch.zeros(3, dtype=torch.float64)
    policies = og.solve(game).policies
    right = Candidate(policies=policies, x0=x0)
    feedback = policies.feedback.clone()
    feedback[2] *= 1.01
    wrong = Candidate(
        policies=AffinePolicy(feedforward=policies.feedforward, feedback=feedback), x0=x0
    )
    assert bool(is_equilibrium(game, right, tolerance=1e-12))
    assert not bool(is_equilibrium(game, wrong, tolerance=1e-6))
    assert float(residuals(game, wrong)[:, 2].min()) > 1e-4
    assert float(deviation_gain(game, wrong).subgame_relative.max()) > 1e-6


@pytest.mark.parametrize(
    "information", [FEEDBACK, OPEN_LOOP, COOPERATIVE, STACKELBERG, InformationStructure.OWN_BLOCK]
)
def test_stationary_maxima_are_no_equilibria(information):
    one = torch.ones(1, 1, dtype=torch.float64)
    zero = AffinePolicy(
        feedforward=torch.zeros(1, 2, dtype=torch.float64),
        feedback=torch.zeros(1, 2, 1, dtype=torch.float64),
    )
    play = Candidate(policies=zero, x0=one[0], information=information, leader=0)
    for sign in (1, -1):
        game = LQGame.time_invariant(one, [0 * one] * 2, [one] * 2, [sign * one, one], horizon=1)
        assert not residuals(game, play).any()
        assert bool(is_equilibrium(game, play, tolerance=1e-9)) == (sign == 1)


def test_zero_cost_has_zero_relative_gain():
    game = random_game(9, affine=False)
    still = og.solve(game, x0=torch.zeros(3, dtype=torch.float64))
    assert deviation_gain(game, still).relative.tolist() == [0.0, 0.0]
    assert bool(is_equilibrium(game, still, tolerance=1e-12))


@pytest.mark.parametrize("information", [FEEDBACK, OPEN_LOOP, COOPERATIVE, STACKELBERG])
@pytest.mark.parametrize("piece", ["feedforward", "feedback"])
def test_nan_fails_every_check(information, piece):
    game = random_game(10, batch=(2,))
    x0 = random_state(10, game)
    policies = og.solve(
        game, information=information, x0=x0, leader=0 if information is STACKELBERG else None
    ).policies
    parts = {"feedforward": policies.feedforward.clone(), "feedback": policies.feedback.clone()}
    parts[piece][1, 2, 0] = torch.nan
    broken = Candidate(policies=AffinePolicy(**parts), x0=x0, information=information, leader=0)
    assert is_equilibrium(game, broken, tolerance=1e-8).tolist() == [True, False]
    assert bool(torch.isnan(residuals(game, broken)[1]).any())
    if information is not STACKELBERG:
        assert bool(torch.isnan(deviation_gain(game, broken).gain[1]).any())
    everything = torch.full_like(policies.feedback, torch.nan)
    lost = Candidate(
        policies=AffinePolicy(feedforward=everything[..., 0], feedback=everything), x0=x0
    )
    assert not any(bool(v.any()) for v in classify(game, lost, tolerance=1e6, leader=0).values())


def test_units_of_a_players_cost_do_not_change_the_verdict():
    game = random_game(11)
    x0 = random_state(11, game)
    factor = torch.tensor([1.0, 1e8], dtype=torch.float64)
    scaled = altered(
        game,
        **{
            name: factor.reshape(-1, *(1,) * (getattr(game, name).ndim - 1)) * getattr(game, name)
            for name in ("Q", "q", "R", "r", "M")
        },
    )
    wrong = Candidate(policies=some_policies(game, 0), x0=x0)
    a, b = deviation_gain(game, wrong), deviation_gain(scaled, wrong)
    torch.testing.assert_close(a.relative, b.relative)
    torch.testing.assert_close(a.own_curvature, b.own_curvature)
    torch.testing.assert_close(residuals(game, wrong), residuals(scaled, wrong))


def test_bad_plays_are_named():
    game = random_game(12)
    policies = some_policies(game, 0)
    x0 = random_state(12, game)
    good = Candidate(policies=policies, x0=x0)
    short = AffinePolicy(feedforward=policies.feedforward[:3], feedback=policies.feedback[:3])
    for call, message in (
        (lambda: deviation_gain(game, Candidate(policies=policies)), "^x0: expected an initial"),
        (lambda: residuals(game, Candidate(policies=short, x0=x0)), "^policies.feedforward: .*T=4"),
        (lambda: residuals(game, Candidate(policies=policies, x0=x0[:2])), "^x0: .*n=3"),
        (lambda: deviation_gain(game, good, STACKELBERG), "^information: .* stackelberg"),
        (lambda: residuals(game, good, STACKELBERG), "^leader: "),
        (lambda: is_equilibrium(game, good, tolerance=0.0), "^tolerance: "),
        (lambda: deviation_gain(game, good, least_curvature=-1.0), "^least_curvature: "),
        (lambda: deviation_gain(game, good, radius=-1.0), "^radius: "),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call()


def test_large_games_have_gains_near_rounding():
    """Ten players, forty states, two hundred stages."""
    game = random_game(13, sizes=(2, 1) * 5, states=40, horizon=200)
    x0 = random_state(13, game)
    for information in ("feedback", "open_loop"):
        solution = og.solve(game, information=information, x0=x0)
        found = deviation_gain(game, solution)
        assert float(found.subgame_relative.max()) < 1e-9
        assert float(residuals(game, solution).max()) < 1e-11
