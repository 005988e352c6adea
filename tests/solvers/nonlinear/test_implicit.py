"""Gradients through nonlinear solutions: against linear-quadratic ones and re-solved games."""

import pytest
import torch
from lq_games import altered, random_game, random_state
from nonlinear_games import START, as_functions, duel
from torch import Tensor

import ocngame as og
from ocngame.errors import ConvergenceError, NotDifferentiableError
from ocngame.games import Constraint, NonlinearGame, control_bounds
from ocngame.solvers.nonlinear import (
    AugmentedLagrangian,
    IterationOptions,
    attach_gradient,
    implicit,
)

KINDS = ("feedback", "open_loop", "cooperative")
SHARP = IterationOptions(
    tolerance=1e-12, constraints=AugmentedLagrangian(tolerance=1e-12, penalty=1e3, growth=1.0)
)


def pendulum(price: Tensor, gravity: Tensor, horizon: int = 3, **changes) -> NonlinearGame:
    """The duel, with a cost weight and a physical parameter to differentiate by."""

    def move(x: Tensor, u: Tensor, _t: Tensor) -> Tensor:
        push = gravity * x[0].sin() + u[0] + 0.8 * u[1] * x[0].cos()
        return x + 0.3 * torch.stack([x[1] + 0.15 * push, push])

    def running(i: int):
        return lambda x, u, t: 0.5 * (u[i] ** 2 + 0.1 * u[0] * u[1] + price * (x[0] - 0.5 * i) ** 2)

    costs = [running(0), running(1)]
    return duel(horizon, dynamics=move, running_costs=costs, **changes)


def agrees_along_a_direction(outputs, inputs, *, step: float = 1e-5) -> bool:
    """The derivative of random weights of the outputs, all inputs moved at once."""
    pull = torch.Generator().manual_seed(1)

    def normal(part: Tensor) -> Tensor:
        return torch.randn(part.shape, generator=pull, dtype=torch.float64)

    found = outputs(*inputs)
    weights = [normal(part) for part in found]
    moves = [normal(part) for part in inputs]

    def loss(parts) -> Tensor:
        return sum((w * part).sum() for w, part in zip(weights, parts, strict=True))

    slopes = torch.autograd.grad(loss(found), inputs)
    along = sum((slope * move).sum() for slope, move in zip(slopes, moves, strict=True))
    low, high = (
        loss(outputs(*(x.detach() + s * move for x, move in zip(inputs, moves, strict=True))))
        for s in (-step, step)
    )
    torch.testing.assert_close(along, (high - low) / (2 * step), rtol=1e-5, atol=1e-6)
    return True


def every_entry(outputs, inputs) -> bool:
    return torch.autograd.gradcheck(outputs, inputs, eps=1e-5, atol=1e-5, rtol=1e-4)


WAYS = [agrees_along_a_direction, pytest.param(every_entry, marks=pytest.mark.slow)]


def numbers(*values: float) -> list[Tensor]:
    return [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in values]


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_linear_quadratic_game_gradients_are_those_of_its_solver(kind):
    names = ("A", "B", "c", "Q", "q", "R", "r", "M")
    lq = random_game(2, sizes=(1, 1), states=2, horizon=3)
    x0 = random_state(2, lq)
    pull = torch.Generator().manual_seed(0)
    weights = None
    if kind == "cooperative":
        weights = torch.tensor([0.7, 0.4], dtype=torch.float64)

    def gradients(written: bool) -> list[Tensor]:
        pieces = [getattr(lq, name).clone().requires_grad_() for name in names]
        start = x0.clone().requires_grad_()
        share = None if weights is None else weights.clone().requires_grad_()
        game = altered(lq, **dict(zip(names, pieces, strict=True)))
        game = as_functions(game) if written else game
        solution = og.solve(game, information=kind, x0=start, weights=share)
        feedback = solution.feedback if written else solution.policies.feedback
        costs = solution.costs if written else solution.value()
        pull.manual_seed(0)
        loss = sum(
            (part * torch.randn(part.shape, generator=pull, dtype=torch.float64)).sum()
            for part in (solution.controls, solution.states, feedback, costs)
        )
        found = torch.autograd.grad(loss, [start, *pieces, *([] if share is None else [share])])
        return [g + g.mT if g.ndim == 4 and g.shape[-1] == g.shape[-2] else g for g in found]

    for ours, exact in zip(gradients(True), gradients(False), strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("agrees", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_re_solved_games(kind, agrees):
    """Gains of feedback play move with the trajectory: their third derivatives are asked for."""
    x0, (price, gravity) = START.clone().requires_grad_(), numbers(1.3, 0.9)

    def outputs(x0, price, gravity):
        found = og.solve(pendulum(price, gravity), information=kind, x0=x0, options=SHARP)
        return found.controls, found.states, found.feedback, found.costs

    assert agrees(outputs, (x0, price, gravity))


def test_a_step_that_ignores_its_own_gains_would_be_wrong(monkeypatch):
    """The negative control: without (dG/dz)' the feedback gradient is off by far more than 1e-5."""
    x0, (price, gravity) = START.clone(), numbers(1.3, 0.9)
    game = pendulum(price, gravity, horizon=4)
    found = og.solve(game, x0=x0, options=SHARP)
    (right,) = torch.autograd.grad(found.controls.sum(), gravity)
    (low, high) = (
        og.solve(pendulum(price, gravity + e, horizon=4), x0=x0, options=SHARP).controls.sum()
        for e in (-1e-5, 1e-5)
    )
    torch.testing.assert_close(right, (high - low).detach() / 2e-5, rtol=1e-6, atol=0)
    with torch.no_grad():
        plain = og.solve(game, x0=x0, options=SHARP)
    monkeypatch.setattr(
        implicit, "batched_gmres", lambda product, right, **_: (right, torch.zeros(len(right)))
    )
    lazy = attach_gradient(game, plain)
    (wrong,) = torch.autograd.grad(lazy.controls.sum(), gravity)
    assert float((wrong - right).abs() / right.abs()) > 1e-4


@pytest.mark.parametrize("agrees", WAYS)
@pytest.mark.parametrize("kind", ["open_loop", pytest.param("feedback", marks=pytest.mark.slow)])
def test_active_bounds_are_held(kind, agrees):
    x0, (price, gravity, limit) = START.clone().requires_grad_(), numbers(1.3, 0.9, 0.6)

    def solution(x0, price, gravity, limit):
        bound = Constraint(
            function=lambda x, u, t: torch.stack([u[0] - limit, -limit - u[0]]), players=(0,)
        )
        game = pendulum(price, gravity, constraints=[bound])
        return og.solve(game, information=kind, x0=x0, options=SHARP)

    found = solution(x0, price, gravity, limit)
    active = found.multipliers.running > 0
    assert 0 < int(active.sum()) < 3
    assert torch.equal(found.controls[:, 0] < -0.599, active[:, 1])

    def outputs(*given):
        part = solution(*given)
        return part.controls, part.states, part.feedback, part.multipliers.running

    assert agrees(outputs, (x0, price, gravity, limit))
    (by_limit,) = torch.autograd.grad(found.controls[active[:, 1], 0].sum(), limit)
    torch.testing.assert_close(by_limit, -active.sum().double(), rtol=1e-6, atol=0)


def test_a_constraint_about_to_switch_has_no_gradient():
    """The bound is where the free solution's largest control happens to be."""
    x0, (price, gravity) = START, numbers(1.3, 0.9)
    free = og.solve(pendulum(price, gravity), information="open_loop", x0=x0, options=SHARP)
    low = free.controls[:, 0].detach().min().item()
    game = pendulum(price, gravity, constraints=[control_bounds(0, slice(0, 1), [low], [10.0])])
    found = og.solve(game, information="open_loop", x0=x0, initial=free.controls.detach())
    with pytest.raises(NotDifferentiableError, match="strictly complementary"):
        found.costs.sum().backward()


def test_each_element_has_its_own_gradient_and_unsolved_ones_have_none():
    (price, gravity) = numbers(1.3, 0.9)
    x0 = torch.stack([START, 1.1 * START, 1000 * START]).requires_grad_()
    game = pendulum(price, gravity)
    few = IterationOptions(tolerance=1e-12, max_iterations=6)
    found = og.solve(game, information="open_loop", x0=x0, options=few, raise_on_failure=False)
    assert found.solved.tolist() == [True, True, False]
    (together,) = torch.autograd.grad(found.costs[:2].sum(), x0, retain_graph=True)
    assert not together[2].any()
    alone = START.clone().requires_grad_()
    one = og.solve(game, information="open_loop", x0=alone, options=few)
    torch.testing.assert_close(
        together[0], torch.autograd.grad(one.costs.sum(), alone)[0], rtol=1e-9, atol=1e-9
    )
    with pytest.raises(ConvergenceError, match="element 2"):
        found.costs[2].sum().backward()


def test_nothing_is_attached_where_nothing_asks_for_it():
    price, gravity = (torch.tensor(v, dtype=torch.float64) for v in (1.3, 0.9))
    assert not og.solve(pendulum(price, gravity), x0=START).controls.requires_grad
    price.requires_grad_()
    with torch.no_grad():
        assert not og.solve(pendulum(price, gravity), x0=START).controls.requires_grad
    attached = og.solve(pendulum(price, gravity), x0=START)
    assert attached.controls.requires_grad
    plain = og.solve(pendulum(price.detach(), gravity), x0=START)
    assert torch.equal(attached.controls, plain.controls)
    assert torch.equal(attached.feedback, plain.feedback)
