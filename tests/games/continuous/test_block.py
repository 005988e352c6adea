"""A block that integrates: its order, several times, derivatives in the times, evaluations."""

import math

import pytest
import torch
from torch import nn

from ocngame import NeuralODE
from ocngame.errors import InvalidInputError
from ocngame.games.continuous import TABLEAUS, Augment, SecondOrder, TimeConv2d, TimeLinear


class Swing(nn.Module):
    """x' = cos(t) x, whose solution is x_0 exp(sin t - sin t_0)."""

    def forward(self, t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return t.cos() * x


X = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64)


def error(method: str, steps: int) -> float:
    block = NeuralODE(Swing(), times=(0.3, 2.0), steps=steps, method=method)
    exact = X * math.exp(math.sin(2.0) - math.sin(0.3))
    return float((block.double()(X) - exact).abs().max())


@pytest.mark.parametrize("method", TABLEAUS.values(), ids=TABLEAUS)
def test_order_of_convergence(method):
    observed = math.log2(error(method.name, 32) / error(method.name, 64))
    assert observed == pytest.approx(method.order, abs=0.3)


@pytest.mark.parametrize("method", TABLEAUS.values(), ids=TABLEAUS)
def test_rows_of_a_tableau_add_up(method):
    assert sum(method.b) == pytest.approx(1.0)
    assert [sum(row) for row in method.a] == pytest.approx(method.c)


def test_states_at_several_times_and_backward_in_time():
    every = NeuralODE(Swing(), times=(0.0, 0.7, 2.0), steps=20, every=True).double()
    states = every(X)
    assert states.shape == (2, 3, 2)
    for k, t in enumerate((0.0, 0.7, 2.0)):
        torch.testing.assert_close(states[:, k], X * math.exp(math.sin(t)), atol=1e-6, rtol=0)
    torch.testing.assert_close(every(states[:, 2], (2.0, 0.7, 0.0))[:, 2], X, atol=1e-6, rtol=0)


def test_a_greatest_step_gives_each_interval_its_number():
    block = NeuralODE(Swing(), times=(0.0, 0.2, 1.0), step=0.1, method="heun")
    assert block.steps == [2, 8]
    block(X.float())
    block(X.float(), (0.0, 0.35))
    assert (block.evaluations, block.total_evaluations) == (2 * 4, 2 * 10 + 2 * 4)


def test_a_tuple_of_states_is_integrated_together():
    def field(t, state):
        x, _ = state
        return t.cos() * x, x

    x, area = NeuralODE(field, times=(0.0, 1.0), steps=50).double()((X, torch.zeros_like(X)))
    alone = NeuralODE(Swing(), times=(0.0, 1.0), steps=50).double()(X)
    torch.testing.assert_close(x, alone)
    nodes = torch.linspace(0, 1, 2001, dtype=torch.float64)
    torch.testing.assert_close(
        area[0, 0], torch.trapezoid(nodes.sin().exp(), nodes), atol=1e-6, rtol=0
    )


def test_derivatives_in_the_times_are_those_of_the_map():
    def end(ends):
        times = torch.cat([ends.new_zeros(1), ends])
        return NeuralODE(Swing(), steps=3)(X, times).sum()

    ends = torch.tensor([0.8, 1.9], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(end, ends)
    assert torch.autograd.gradgradcheck(end, ends)
    block = NeuralODE(Swing(), times=(0.0, 0.8, 1.9), steps=3, learn_times=True).double()
    block(X).sum().backward()
    torch.testing.assert_close(block.ends.grad, torch.autograd.grad(end(ends), ends)[0])


def test_second_order_equation_swings():
    class Spring(nn.Module):
        def forward(self, t, x):
            return -x.chunk(2, 1)[0]

    block = NeuralODE(SecondOrder(Spring()), times=(0.0, math.pi), steps=40).double()
    torch.testing.assert_close(block(X), -X, atol=1e-5, rtol=0)


def test_layers_take_the_time_as_a_channel():
    t = torch.tensor(0.25)
    linear, conv = TimeLinear(2, 3), TimeConv2d(2, 3)
    x, image = torch.randn(4, 2), torch.randn(4, 2, 5, 5)
    torch.testing.assert_close(
        linear(t, x), linear.layer(torch.cat([x, torch.full((4, 1), 0.25)], 1))
    )
    assert conv(t, image).shape == (4, 3, 5, 5)
    assert Augment(2)(x)[:, 2:].eq(0).all()
    assert Augment(2)(image).shape == (4, 4, 5, 5)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"method": "rk5"}, "method"),
        ({"times": (0.0,)}, "times"),
        ({"times": (0.0, 1.0, 0.5)}, "times"),
        ({"times": (0.0, math.nan)}, "times"),
        ({"steps": 0}, "steps"),
        ({"step": -1.0}, "step"),
        ({"step": 0.1, "steps": 2}, "step"),
    ],
)
def test_senseless_arguments_are_refused(options, named):
    with pytest.raises(InvalidInputError, match=named):
        NeuralODE(Swing(), **options)
