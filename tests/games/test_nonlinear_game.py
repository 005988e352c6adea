"""Nonlinear games: what they refuse, their map, their derivatives."""

import math

import pytest
import torch
from nonlinear_games import START, duel
from torch import Tensor

import ocngame as og
from ocngame.errors import InvalidInputError
from ocngame.games import Constraint, at_stage, control_bounds, keep_apart, rk4, stay_inside
from ocngame.games.expansion import (
    Expansion,
    Multipliers,
    augmented_costs,
    constraint_values,
    expand,
    projected,
)


def some_controls(batch: int, horizon: int = 12, size: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, horizon, size, generator=generator, dtype=torch.float64)


def central(function, point: Tensor, h: float = 1e-5) -> Tensor:
    """Finite differences of a vector function, last axis the direction."""
    columns = []
    for k in range(len(point)):
        move = torch.zeros_like(point)
        move[k] = h
        columns.append((function(point + move) - function(point - move)) / (2 * h))
    return torch.stack(columns, dim=-1)


def test_what_is_linearised_is_what_is_rolled_out():
    """Jacobians and Hessians against differences of `advance`, which makes the rollouts."""
    game = duel()
    us = some_controls(2)
    xs = game.simulate(us, START)
    found = expand(game, xs, us)
    for b, t in ((0, 0), (1, 7)):
        z = torch.cat([xs[b, t], us[b, t]])

        def step(z: Tensor, t: int = t) -> Tensor:
            return game.advance(t, z[None, :2], z[None, 2:])[0]

        torch.testing.assert_close(found.f_z[b, t], central(step, z), rtol=1e-8, atol=1e-9)
        hessian = central(lambda z: central(step, z, 1e-4), z, 1e-4)
        torch.testing.assert_close(found.f_zz[b, t], hessian, rtol=1e-5, atol=1e-6)


def test_cost_derivatives_are_those_of_the_trajectory_costs():
    game = duel()
    us = some_controls(1)
    xs = game.simulate(us, START)
    found = expand(game, xs, us)
    for t in (0, 5, 12):
        part = found.phi_x[0] if t == 12 else found.l_z[0, :, t, :2]

        def costs(x: Tensor, t: int = t) -> Tensor:
            moved = xs.clone()
            moved[0, t] = x
            return game.costs(moved, us)[0]

        torch.testing.assert_close(part, central(costs, xs[0, t]), rtol=1e-7, atol=1e-8)
    hessian = central(
        lambda u: central(lambda v: game.running_costs[0](START, v, None), u), us[0, 0], 1e-4
    )
    torch.testing.assert_close(found.l_zz[0, 0, 0, 2:, 2:], hessian, rtol=1e-4, atol=1e-5)


def test_the_users_own_derivatives_are_used():
    game = duel()
    calls = []

    def own(xs: Tensor, us: Tensor):
        calls.append(len(xs))
        return expand(game, xs, us)

    supplied = duel(expansion=own)
    a, b = og.solve(game, x0=START), og.solve(supplied, x0=START)
    torch.testing.assert_close(a.controls, b.controls, rtol=0, atol=0)
    team = og.solve(supplied, x0=START, information="cooperative")
    expected = og.solve(game, x0=START, information="cooperative")
    torch.testing.assert_close(team.controls, expected.controls, rtol=1e-10, atol=1e-10)
    assert calls


def test_runge_kutta_is_of_fourth_order_and_knows_the_time():
    start, none = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)

    def error(step: float, substeps: int) -> float:
        move = rk4(lambda x, u, s: x * s.cos(), step, substeps=substeps)
        x = move(move(start, none, torch.tensor(0)), none, torch.tensor(1))
        return abs(float(x) - math.exp(math.sin(2 * step)))

    assert 13 < error(0.5, 1) / error(0.5, 2) < 19
    assert error(0.5, 32) < 1e-8


def test_data_over_time_can_be_picked_under_vmap():
    series = torch.arange(12.0).reshape(4, 3)
    stages = torch.tensor([2, 0, 3])
    found = torch.vmap(lambda t: at_stage(series, t))(stages)
    assert torch.equal(found, series[stages])


def constrained() -> og.NonlinearGame:
    return duel(
        constraints=[
            control_bounds(0, slice(0, 1), [-1.0], [0.5]),
            Constraint(function=lambda x, u, t: (x[:1] * u[1]).sin(), players=(0, 1)),
            Constraint(
                function=lambda x: (x * x).sum().reshape(1) - 1, players=(1,), terminal=True
            ),
        ]
    )


def test_constraints_enter_the_derivatives_of_those_who_carry_them():
    game = constrained()
    us = some_controls(2)
    xs = game.simulate(us, START)
    generator = torch.Generator().manual_seed(1)
    y = Multipliers(
        running=torch.rand(2, 12, 3, generator=generator, dtype=torch.float64),
        terminal=torch.rand(2, 1, generator=generator, dtype=torch.float64),
        penalty=torch.tensor([3.0, 7.0], dtype=torch.float64),
    )
    bare, found = expand(game, xs, us), expand(game, xs, us, multipliers=y)
    assert not torch.equal(bare.phi_x[:, 1], found.phi_x[:, 1])
    assert torch.equal(bare.phi_x[:, 0], found.phi_x[:, 0])
    for t in (3, 12):

        def costs(z: Tensor, t: int = t) -> Tensor:
            moved, controls = xs.clone(), us.clone()
            moved[0, t] = z[:2]
            if t < 12:
                controls[0, t] = z[2:]
            return augmented_costs(game, moved, controls, y)[0]

        z = torch.cat([xs[0, t], us[0, t]]) if t < 12 else xs[0, t]
        slope = found.l_z[0, :, t] if t < 12 else found.phi_x[0]
        curve = found.l_zz[0, :, t] if t < 12 else found.phi_xx[0]
        torch.testing.assert_close(slope, central(costs, z), rtol=1e-6, atol=1e-7)
        second = central(lambda z, costs=costs: central(costs, z, 1e-4), z, 1e-4)
        torch.testing.assert_close(curve, second, rtol=1e-4, atol=1e-4)


def test_ready_made_constraints_are_positive_where_violated():
    x, u = torch.tensor([0.0, 0.0, 3.0, 4.0]), torch.tensor([2.0, -3.0])
    t = torch.tensor(0)
    bounds = control_bounds(0, slice(0, 2), [-1.0, -1.0], [1.0, 1.0]).function(x, u, t)
    assert bounds.tolist() == [1.0, -4.0, -3.0, 2.0]
    for distance, sign in ((6.0, 1), (4.0, -1)):
        near = keep_apart((0, 1), slice(0, 2), slice(2, 4), distance).function(x, u, t)
        assert math.copysign(1, float(near)) == sign
    wall = stay_inside(0, slice(2, 4), [0.0, 1.0], 3.5).function(x, u, t)
    assert wall.tolist() == [0.5]


def test_constraint_values_have_the_order_of_the_constraints():
    game = constrained()
    us = some_controls(1)
    xs = game.simulate(us, START)
    running, terminal = constraint_values(game, xs, us)
    assert running.shape == (1, 12, 3)
    torch.testing.assert_close(running[0, :, 0], us[0, :, 0] - 0.5)
    torch.testing.assert_close(terminal[0, 0], (xs[0, -1] ** 2).sum() - 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizon": 0}, "^horizon: .*at least 1"),
        ({"state_size": 0}, "^state_size: "),
        ({"control_slices": [slice(0, 1), slice(0, 2)]}, "^control_slices: .*overlap"),
        ({"control_slices": [slice(0, 1), slice(1, None)]}, "^control_slices: .*with an end"),
        ({"control_slices": []}, "^control_slices: "),
        ({"running_costs": [lambda x, u, t: x[0]]}, "^running_costs: .*2, got 1"),
        ({"terminal_costs": [lambda x: x[0]] * 3}, "^terminal_costs: .*2, got 3"),
        (
            {"constraints": [Constraint(function=lambda x, u, t: x, players=(2,))]},
            r"^constraints\[0\]\.players: ",
        ),
    ],
)
def test_bad_games_are_named(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        duel(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dynamics": lambda x, u, t: x[:1]}, r"^dynamics: .*\(2,\).*got \(1,\)"),
        ({"dynamics": lambda x, u, t: x.float()}, "^dynamics: .*float64.*float32"),
        ({"running_costs": [lambda x, u, t: x] * 2}, r"^running_costs\[0\]: "),
        ({"terminal_costs": [lambda x: x[0], lambda x: x[:1]]}, r"^terminal_costs\[1\]: "),
        (
            {"constraints": [Constraint(function=lambda x, u, t: x[0], players=(0,))]},
            r"^constraints\[0\]\.function: ",
        ),
    ],
)
def test_functions_of_the_wrong_shape_are_named(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        og.solve(duel(**changes), x0=START)


def test_bad_constraints_are_named():
    for call, message in (
        (lambda: Constraint(function=lambda x: x, players=()), "^players: "),
        (lambda: Constraint(function=lambda x: x, players=(1, 1)), "^players: "),
        (lambda: control_bounds(0, slice(0, 1), [1.0], [1.0]), "^low, high: "),
        (lambda: control_bounds(0, slice(0, 2), [1.0], [2.0]), "^low, high: "),
        (lambda: keep_apart((0, 1), slice(0, 2), slice(2, 4), -1.0), "^distance: "),
        (lambda: stay_inside(0, slice(0, 2), [1.0], 0.0), "^normal: "),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call()


def test_projection_keeps_elements_apart():
    generator = torch.Generator().manual_seed(0)

    def normal(*size: int) -> Tensor:
        root = torch.randn(*size, generator=generator, dtype=torch.float64)
        return root + root.mT if size[-1] == size[-2] else root

    whole = Expansion(
        f_z=normal(3, 2, 2, 3),
        f_zz=normal(3, 2, 2, 3, 3),
        l_z=normal(3, 2, 2, 3),
        l_zz=normal(3, 2, 2, 3, 3),
        phi_x=normal(3, 2, 4)[..., :2],
        phi_xx=normal(3, 2, 2, 2),
    )
    mask = torch.tensor([False, True, True])
    found = projected(whole, mask)
    assert whole.f_zz is not None
    assert found.f_zz is not None
    for name in ("f_zz", "l_zz", "phi_xx"):
        assert torch.equal(getattr(found, name)[0], getattr(whole, name)[0])
    assert float(found.f_zz[1:].abs().max()) == 0.0
    for name in ("l_zz", "phi_xx"):
        values, vectors = torch.linalg.eigh(getattr(whole, name)[1:])
        assert float(values.min()) < -0.1
        expected = vectors @ torch.diag_embed(values.clamp_min(0)) @ vectors.mT
        torch.testing.assert_close(getattr(found, name)[1:], expected, rtol=0, atol=1e-12)
