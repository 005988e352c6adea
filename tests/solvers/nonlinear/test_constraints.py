"""Constraints: multipliers against a direct solver, shared ones against the coalition."""

import numpy as np
import pytest
import torch
from nonlinear_games import START, duel, swing
from scipy.optimize import minimize

import ocngame as og
from ocngame.games import Constraint, NonlinearGame, control_bounds
from ocngame.solvers.nonlinear import IterationOptions

LIMIT = 0.8


def bounded(information: str):
    """The swing with torque bounds and a bound on the last angle, and its solution."""
    free = swing()
    game = NonlinearGame(
        dynamics=free.dynamics,
        running_costs=free.running_costs,
        terminal_costs=free.terminal_costs,
        control_slices=free.control_slices,
        state_size=2,
        horizon=15,
        constraints=[
            control_bounds(0, slice(0, 2), [-LIMIT, -LIMIT], [LIMIT, LIMIT]),
            Constraint(function=lambda x: x[:1] + 0.2, players=(0,), terminal=True),
        ],
    )
    return game, og.solve(game, information=information, x0=START)


@pytest.mark.parametrize(
    "information", [pytest.param("feedback", marks=pytest.mark.slow), "open_loop"]
)
def test_one_player_with_bounds_is_the_direct_optimum(information):
    game, found = bounded(information)
    report = found.constraints

    def cost(flat):
        us = torch.tensor(flat).reshape(15, 2).requires_grad_()
        value = game.costs(game.simulate(us, START), us)[0]
        (slope,) = torch.autograd.grad(value, us)
        return value.item(), slope.flatten().numpy()

    def room(flat):
        us = torch.tensor(flat).reshape(15, 2)
        return -0.2 - game.simulate(us, START)[-1, 0].item()

    def room_slope(flat):
        us = torch.tensor(flat).reshape(15, 2).requires_grad_()
        (slope,) = torch.autograd.grad(-0.2 - game.simulate(us, START)[-1, 0], us)
        return slope.flatten().numpy()

    direct = minimize(
        cost,
        np.zeros(30),
        jac=True,
        method="SLSQP",
        bounds=[(-LIMIT, LIMIT)] * 30,
        constraints=[{"type": "ineq", "fun": room, "jac": room_slope}],
        options={"ftol": 1e-12, "maxiter": 60},
    )
    assert float(report.violation) <= 1e-8
    assert float(report.complementarity) <= 1e-8
    assert abs(float(found.states[-1, 0]) + 0.2) < 1e-7
    assert bool((found.controls.abs() > LIMIT - 1e-7).any())
    assert bool((report.multipliers.running >= 0).all())
    assert float(report.multipliers.terminal) > 1e-2
    assert abs(float(found.costs[0]) - direct.fun) < 1e-6
    torch.testing.assert_close(
        found.controls.flatten(), torch.tensor(direct.x), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("information", ["feedback", "open_loop"])
def test_the_lagrangian_is_stationary_at_the_multipliers(information):
    game, found = bounded(information)
    y = found.constraints.multipliers
    k = found.policies.feedforward.clone().requires_grad_()
    K = found.feedback if information == "feedback" else torch.zeros_like(found.feedback)
    k = found.controls.clone().requires_grad_() if information == "open_loop" else k
    x, value = START, torch.zeros((), dtype=torch.float64)
    for t in range(game.horizon):
        u = k[t] + K[t] @ x
        value = value + game.running_costs[0](x, u, torch.tensor(t))
        value = value + y.running[t] @ game.constraints[0].function(x, u, torch.tensor(t))
        x = game.dynamics(x, u, torch.tensor(t))
    value = value + game.terminal_costs[0](x) + y.terminal @ game.constraints[1].function(x)
    (slope,) = torch.autograd.grad(value, k)
    assert float(slope.norm()) < 1e-6
    assert float(found.residual) < 1e-8


def test_players_coupled_by_a_shared_constraint_alone_act_like_a_coalition():
    """Equal multipliers: the variational equilibrium, of all generalised ones."""
    shared = Constraint(function=lambda x, u, t: (u.sum() - 0.5).reshape(1), players=(0, 1))
    game = NonlinearGame(
        dynamics=lambda x, u, t: 0.9 * x + 0.3 * torch.sin(u),
        running_costs=[lambda x, u, t, i=i: (u[i] - 1 - i) ** 2 for i in range(2)],
        terminal_costs=[lambda x, i=i: (x[i] - 1) ** 2 for i in range(2)],
        control_slices=[slice(0, 1), slice(1, 2)],
        state_size=2,
        horizon=4,
        constraints=[shared],
    )
    nash = og.solve(game, information="open_loop", x0=START)
    team = og.solve(game, information="cooperative", x0=START)
    torch.testing.assert_close(nash.controls, team.controls, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        nash.constraints.multipliers.running,
        team.constraints.multipliers.running,
        rtol=1e-6,
        atol=1e-6,
    )
    assert float(nash.constraints.multipliers.running.min()) > 0.1


@pytest.mark.slow
def test_constraints_in_a_batch_equal_one_by_one():
    game = duel(4, constraints=[control_bounds(i, slice(i, i + 1), [-0.3], [0.3]) for i in (0, 1)])
    x0 = torch.stack([START, 0.1 * START])
    batch = og.solve(game, x0=x0)
    for b in range(2):
        one = og.solve(game, x0=x0[b])
        assert int(batch.constraints.rounds[b]) == int(one.constraints.rounds)
        torch.testing.assert_close(batch.controls[b], one.controls, rtol=1e-10, atol=1e-10)
    assert float(batch.controls.abs().max()) <= 0.3 + 1e-8


def test_inactive_constraints_change_nothing():
    free = og.solve(duel(), x0=START)
    wide = duel(constraints=[control_bounds(0, slice(0, 1), [-50.0], [50.0])])
    found = og.solve(wide, x0=START)
    torch.testing.assert_close(found.controls, free.controls, rtol=1e-7, atol=1e-7)
    assert float(found.constraints.multipliers.running.abs().max()) == 0.0


@pytest.mark.slow
def test_a_warm_start_takes_the_multipliers_along():
    game = duel(4, constraints=[control_bounds(0, slice(0, 1), [-0.3], [0.3])])
    first = og.solve(game, x0=START)
    again = og.solve(game, x0=START, initial=first)
    assert int(again.constraints.rounds) < int(first.constraints.rounds)
    torch.testing.assert_close(again.controls, first.controls, rtol=1e-6, atol=1e-6)
    shifted = first.shifted()
    later = og.solve(game, x0=first.states[1], initial=shifted, options=IterationOptions())
    assert float(later.constraints.violation) <= 1e-8
