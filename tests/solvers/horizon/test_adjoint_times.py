"""Times of a block in the mode `adjoint`: the limit of the other mode, and adaptive steps."""

import pytest
import torch
from torch import nn
from vector_fields import PlainField

from ocngame import NeuralODE
from ocngame.errors import InvalidInputError
from ocngame.games.continuous import (
    Adaptive,
    Adjoint,
    LearnedTimes,
    TimeBounds,
    TimeCost,
)
from ocngame.solvers.horizon import (
    ExactTimes,
    FirstOrderTimes,
    GaussNewtonTimes,
    SecondOrderTimes,
    TimeControl,
)

LOSS = nn.CrossEntropyLoss()
TIGHT = Adjoint(adaptive=Adaptive(rtol=1e-9, atol=1e-10))


def network(every, **block):
    torch.manual_seed(0)
    ode = NeuralODE(PlainField(3, 5), learn_times=True, times=(0.0, 0.5, 1.2), every=every, **block)
    head = nn.Linear(9 if every else 3, 3)
    return nn.Sequential(nn.Linear(4, 3), ode, nn.Flatten(), head).double()


def batch():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(6, 4, dtype=torch.float64, generator=generator)
    return x, torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("mode", ["adjoint", TIGHT])
def test_both_modes_agree_as_the_step_goes_to_zero(mode, every):
    if mode is TIGHT:
        pytest.importorskip("torchdiffeq")
    found = []
    for kind in (mode, "discretise"):
        model = network(every, steps=40, mode=kind)
        times = LearnedTimes(model, TimeBounds())
        found.append(GaussNewtonTimes().expand(times, LOSS, *batch(), TimeCost()))
    one, other = found
    torch.testing.assert_close(one.q_t, other.q_t, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(one.q_tt, other.q_tt, rtol=1e-5, atol=1e-7)
    assert set(one.q_tu) == set(other.q_tu)
    for name, across in one.q_tu.items():
        assert across.abs().max() > 1e-6
        torch.testing.assert_close(across, other.q_tu[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rule", [SecondOrderTimes(start=1), FirstOrderTimes(start=1, lr=0.05)])
def test_times_of_adaptive_steps_move_by_what_their_evaluations_cost(rule):
    pytest.importorskip("torchdiffeq")
    model = network(False, mode=Adjoint(adaptive=Adaptive(rtol=1e-7, atol=1e-8)))
    control = TimeControl(model, rule=rule, cost=TimeCost(per_evaluation=0.05))
    opt = torch.optim.SGD(model.parameters(), lr=0.05)
    x, y = batch()

    def move():
        opt.zero_grad()
        LOSS(model(x), y).backward()
        opt.step()

    counts = []
    for _ in range(16):
        _, made = control.step(move, x, y)
        counts.append(made.evaluations)
    assert made.accepted
    assert made.times[-1] < 0.9
    assert counts[-1] < counts[0]


def test_exact_second_derivatives_are_refused():
    model = network(False, mode="adjoint")
    times = LearnedTimes(model, TimeBounds())
    with pytest.raises(InvalidInputError, match="GaussNewtonTimes"):
        ExactTimes().expand(times, LOSS, *batch(), TimeCost())
