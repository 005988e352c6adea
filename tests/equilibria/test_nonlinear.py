"""The checks of nonlinear plays: they pass solutions, and only those."""

import pytest
import torch
from lq_games import random_game, random_state
from nonlinear_games import START, as_functions, duel
from scipy.optimize import minimize

import ocngame as og
from ocngame.bellman import AffinePolicy, constant_policies
from ocngame.equilibria import Candidate, deviation_gain, examine, own_curvature
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, control_bounds

FEEDBACK, OPEN_LOOP = InformationStructure.FEEDBACK, InformationStructure.OPEN_LOOP
KINDS = (FEEDBACK, OPEN_LOOP, InformationStructure.COOPERATIVE)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def solutions():
    return {kind: og.solve(duel(), information=kind, x0=START) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_each_solution_passes_as_what_it_is_and_fails_as_the_others(solutions, kind):
    """Feedback passes as feedback and fails as open loop, and the reverse."""
    for other in KINDS:
        report = examine(duel(), solutions[kind], other, generator=seeded())
        assert bool(report.passes(residual=1e-8, gain=1e-6)) is (other is kind)
        if other is kind:
            assert float(report.relative.max()) < 1e-12
            assert float(report.gain_mismatch.max()) < 1e-8
            assert float(report.own_curvature.min()) > 0
        else:
            assert float(report.residuals.max()) > 1e-3
            assert float(report.relative.max()) > 1e-6


def test_gains_that_are_no_best_answers_fail_though_nobody_gains_on_the_path(solutions):
    still = constant_policies(solutions[OPEN_LOOP].controls, 2)
    report = examine(duel(), Candidate(policies=still, x0=START), FEEDBACK, generator=seeded())
    assert float(report.residuals.max()) < 1e-8
    assert float(report.relative.max()) < 1e-12
    assert float(report.gain_mismatch.min()) > 0.1
    assert not bool(report.passes(residual=1e-8, gain=1e-6))


@pytest.mark.parametrize("kind", KINDS)
def test_a_perturbed_solution_fails(solutions, kind):
    policies = solutions[kind].policies
    moved = AffinePolicy(
        feedforward=policies.feedforward + 1e-3 * torch.eye(12, 2), feedback=policies.feedback
    )
    play = Candidate(policies=moved, x0=START, information=kind)
    report = examine(duel(), play, generator=seeded())
    assert not bool(report.passes(residual=1e-8, gain=1e-6))
    assert float(report.residuals.max()) > 1e-4
    assert float(report.gain.max()) > 1e-8


@pytest.mark.parametrize("information", [FEEDBACK, OPEN_LOOP])
def test_gain_is_that_of_a_direct_search(information):
    game = duel()
    generator = seeded()
    policies = AffinePolicy(
        feedforward=torch.randn(12, 2, generator=generator, dtype=torch.float64),
        feedback=0.3 * torch.randn(12, 2, 2, generator=generator, dtype=torch.float64),
    )
    report = examine(game, Candidate(policies=policies, x0=START), information, starts=0)
    x, played = START, []
    for t in range(12):
        played.append(policies.feedforward[t] + policies.feedback[t] @ x)
        x = game.dynamics(x, played[-1], torch.tensor(t))
    played = torch.stack(played)
    for i in range(2):

        def cost(flat, i=i):
            own = torch.tensor(flat).requires_grad_()
            x, xs, us = START, [START], []
            for t in range(12):
                u = policies.feedforward[t] + policies.feedback[t] @ x
                u = played[t] if information is OPEN_LOOP else u
                us.append(torch.stack([own[t], u[1]] if i == 0 else [u[0], own[t]]))
                x = game.dynamics(x, us[-1], torch.tensor(t))
                xs.append(x)
            value = game.costs(torch.stack(xs), torch.stack(us))[i]
            (slope,) = torch.autograd.grad(value, own)
            return value.item(), slope.numpy()

        start = played[:, i].numpy()
        direct = minimize(cost, start, jac=True, method="BFGS", tol=1e-8)
        gain = cost(start)[0] - direct.fun
        assert gain > 0.1
        assert abs(float(report.gain[i]) - gain) < 1e-8 * gain


def test_on_linear_quadratic_games_the_exact_checks_agree():
    lq = random_game(4, sizes=(1, 2), horizon=4)
    x0 = random_state(4, lq)
    generator = seeded()
    policies = AffinePolicy(
        feedforward=torch.randn(4, 3, generator=generator, dtype=torch.float64),
        feedback=0.3 * torch.randn(4, 3, 3, generator=generator, dtype=torch.float64),
    )
    play = Candidate(policies=policies, x0=x0)
    for information in (FEEDBACK, OPEN_LOOP):
        report = examine(as_functions(lq), play, information, generator=seeded())
        exact = deviation_gain(lq, play, information)
        torch.testing.assert_close(report.gain, exact.gain, rtol=1e-9, atol=1e-9)
        assert bool((report.own_curvature > 0).all())
        assert torch.equal(report.own_curvature > 0, own_curvature(lq, play, information) > 0)


@pytest.mark.parametrize("piece", ["feedforward", "feedback"])
def test_nan_fails(solutions, piece):
    policies = solutions[FEEDBACK].policies
    parts = {
        name: getattr(policies, name).expand(2, *getattr(policies, name).shape).clone()
        for name in ("feedforward", "feedback")
    }
    parts[piece][1, 3] = torch.nan
    play = Candidate(policies=AffinePolicy(**parts), x0=START)
    report = examine(duel(), play, generator=seeded())
    assert report.passes(residual=1e-8, gain=1e-6).tolist() == [True, False]
    assert bool(torch.isnan(report.gain[1]).all())
    assert bool(torch.isnan(report.residuals[1]).all())


def test_constrained_plays_are_judged_with_their_multipliers():
    game = duel(6, constraints=[control_bounds(0, slice(0, 1), [-0.3], [0.3])])
    found = og.solve(game, information="open_loop", x0=START)
    y = found.constraints.multipliers
    report = examine(game, found, multipliers=y, generator=seeded())
    assert bool(report.passes(residual=1e-5, gain=1e-6))
    bare = examine(duel(6), found, generator=seeded())
    assert float(bare.residuals[0]) > 0.1
    carried = examine(game, found, generator=seeded())
    assert torch.equal(carried.residuals, report.residuals)
    stranger = Candidate(policies=found.policies, x0=START, information=OPEN_LOOP)
    with pytest.raises(InvalidInputError, match=r"^multipliers: "):
        examine(game, stranger, generator=seeded())


def test_bad_plays_are_named(solutions):
    game, good = duel(), solutions[FEEDBACK]
    for call, message in (
        (lambda: examine(game, good), "^generator: "),
        (lambda: examine(duel(5), good, starts=0), "^policies.feedforward: .*T=5"),
        (lambda: examine(game, Candidate(policies=good.policies), starts=0), "^x0: "),
        (lambda: examine(game, good, InformationStructure.STACKELBERG, starts=0), "^information: "),
        (lambda: examine(game, good, starts=0, spread=-1.0), "^spread: "),
        (lambda: examine(game, good, starts=0, max_iterations=0), "^max_iterations: "),
        (lambda: examine(game, good, starts=0).passes(residual=0.0, gain=1.0), "^residual: "),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call()
