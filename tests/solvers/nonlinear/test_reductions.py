"""Where the answer is known otherwise: LQ games, direct optima, elements of a batch."""

import pytest
import torch
from lq_games import random_game, random_state
from nonlinear_games import START, as_functions, duel, swing
from scipy.optimize import minimize

import ocngame as og
from ocngame.solvers.lq import Status
from ocngame.solvers.nonlinear import IterationOptions

INFORMATION = ("feedback", "open_loop", "cooperative")


@pytest.mark.parametrize("information", INFORMATION)
@pytest.mark.parametrize("seed", range(3))
def test_a_linear_quadratic_game_takes_one_iteration(information, seed):
    lq = random_game(seed, sizes=(1, 2), horizon=5)
    x0 = torch.stack([random_state(seed + k, lq) for k in range(2)])
    exact = og.solve(lq, information=information, x0=x0)
    found = og.solve(as_functions(lq), information=information, x0=x0)
    assert found.iterations.tolist() == [1, 1]
    assert found.status == [Status.LOCALLY_SOLVED] * 2
    for ours, theirs in (
        (found.states, exact.states),
        (found.controls, exact.controls),
        (found.policies.feedback, exact.policies.feedback.expand(2, -1, -1, -1)),
        (found.policies.feedforward, exact.policies.feedforward.expand(2, -1, -1)),
        (found.costs, exact.value()),
        (found.certificate.own_curvature[0], exact.certificate.own_curvature),
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("information", INFORMATION)
def test_one_player_finds_the_direct_optimum(information):
    """All information structures coincide, and scipy on the control sequence agrees."""
    game = swing()

    def cost(flat):
        us = torch.tensor(flat).reshape(15, 2).requires_grad_()
        value = game.costs(game.simulate(us, START), us)[0]
        (slope,) = torch.autograd.grad(value, us)
        return value.item(), slope.flatten().numpy()

    found = og.solve(game, information=information, x0=START)
    direct = minimize(cost, found.controls.flatten().numpy() * 0, jac=True, method="BFGS", tol=1e-9)
    torch.testing.assert_close(found.costs[0].item(), direct.fun, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        found.controls.flatten(), torch.tensor(direct.x), rtol=1e-6, atol=1e-6
    )


def test_the_cooperative_optimum_is_that_of_the_weighted_sum():
    game = duel()
    weights = torch.tensor([1.0, 3.0], dtype=torch.float64)
    found = og.solve(game, information="cooperative", weights=weights, x0=START)

    def cost(flat):
        us = torch.tensor(flat).reshape(12, 2).requires_grad_()
        value = game.costs(game.simulate(us, START), us) @ weights
        (slope,) = torch.autograd.grad(value, us)
        return value.item(), slope.flatten().numpy()

    direct = minimize(cost, found.controls.flatten().numpy() * 0, jac=True, method="BFGS", tol=1e-9)
    torch.testing.assert_close((found.costs @ weights).item(), direct.fun, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("information", INFORMATION)
def test_residuals_are_gradients_of_the_original_game(information):
    """Autograd through the rollout, at a point where the iteration was cut off."""
    game = duel()
    options = IterationOptions(max_iterations=1)
    cut = og.solve(game, information=information, x0=START, options=options, raise_on_failure=False)
    k = cut.policies.feedforward.clone().requires_grad_()
    K = cut.policies.feedback
    if information == "open_loop":
        k, K = cut.controls.clone().requires_grad_(), torch.zeros_like(K)
    x, xs, us = START, [START], []
    for t in range(game.horizon):
        us.append(k[t] + K[t] @ x)
        x = game.dynamics(x, us[-1], torch.tensor(t))
        xs.append(x)
    costs = game.costs(torch.stack(xs), torch.stack(us))
    if information == "cooperative":
        (slope,) = torch.autograd.grad(costs.sum(), k)
        expected = slope.norm().reshape(1)
    else:
        slopes = [torch.autograd.grad(costs[i], k, retain_graph=True)[0][:, i] for i in range(2)]
        expected = torch.stack([slope.norm() for slope in slopes])
    assert float(expected.max()) > 1e-4
    torch.testing.assert_close(cut.residuals, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    "information",
    ["open_loop", *(pytest.param(k, marks=pytest.mark.slow) for k in ("feedback", "cooperative"))],
)
def test_batch_equals_one_by_one(information):
    game = duel(6)
    generator = torch.Generator().manual_seed(0)
    x0 = 1.5 * torch.randn(2, 2, 2, generator=generator, dtype=torch.float64)
    x0[0, 1] = torch.tensor([5.0, -20.0])  # solved, by way of safe points
    x0[1, 1] = torch.tensor([300.0, -1e4])
    options = IterationOptions(max_iterations=8)
    batch = og.solve(game, information=information, x0=x0, options=options, raise_on_failure=False)
    for index in ((0, 0), (0, 1), (1, 1)):
        one = og.solve(
            game, information=information, x0=x0[index], options=options, raise_on_failure=False
        )
        assert batch.status[index[0]][index[1]] is one.status
        assert int(batch.iterations[index]) == int(one.iterations)
        if one.status is Status.LOCALLY_SOLVED:
            for name in ("states", "controls", "feedback", "costs"):
                torch.testing.assert_close(
                    getattr(batch, name)[index], getattr(one, name), rtol=1e-10, atol=1e-10
                )
    assert len({int(count) for count in batch.iterations.flatten()}) > 1


def test_gains_without_the_dynamics_curvature_are_others():
    game = duel()
    full = og.solve(game, x0=START)
    classic = og.solve(game, x0=START, options=IterationOptions(dynamics_hessian=False))
    assert classic.status is Status.LOCALLY_SOLVED
    assert float((full.feedback - classic.feedback).abs().max()) > 1e-3
    open_full = og.solve(game, x0=START, information="open_loop")
    open_classic = og.solve(
        game, x0=START, information="open_loop", options=IterationOptions(dynamics_hessian=False)
    )
    torch.testing.assert_close(open_full.controls, open_classic.controls, rtol=1e-7, atol=1e-7)


def test_single_precision():
    found = og.solve(duel(), x0=START.float(), options=IterationOptions(tolerance=1e-4))
    exact = og.solve(duel(), x0=START)
    assert found.controls.dtype == torch.float32
    torch.testing.assert_close(found.controls.double(), exact.controls, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("information", INFORMATION)
def test_warm_starts(information):
    game = duel()
    first = og.solve(game, information=information, x0=START)
    again = og.solve(game, information=information, x0=START, initial=first)
    assert int(again.iterations) <= 1 < int(first.iterations)
    shifted = first.shifted(2)
    rest = first.policies
    assert torch.equal(shifted.policies.feedforward[:-2], rest.feedforward[2:])
    assert torch.equal(shifted.policies.feedback[-1], rest.feedback[-1])
    later = og.solve(game, information=information, x0=first.states[2], initial=shifted)
    cold = og.solve(game, information=information, x0=first.states[2])
    torch.testing.assert_close(later.controls, cold.controls, rtol=1e-6, atol=1e-7)
