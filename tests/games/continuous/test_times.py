"""Trainable times as one control: reading, writing, what is allowed, what it costs."""

import math

import pytest
import torch
from torch import nn

from ocngame import NeuralODE
from ocngame.errors import InvalidInputError
from ocngame.games.continuous import LearnedTimes, TimeBounds, TimeCost


class Decay(nn.Module):
    def forward(self, t, x):
        return -x


def two_blocks():
    return nn.Sequential(
        NeuralODE(Decay(), times=(0.5, 1.0, 2.0), step=0.25, learn_times=True, method="heun"),
        NeuralODE(Decay(), times=(1.0, 0.0), steps=3, learn_times=True),
        NeuralODE(Decay()),
    ).double()


def test_times_of_all_blocks_are_read_and_written():
    model = two_blocks()
    times = LearnedTimes(model, TimeBounds())
    assert times.names == ["0.ends", "1.ends"]
    assert times.read().tolist() == [1.0, 2.0, 0.0]
    times.write(torch.tensor([1.25, 2.5, -0.5], dtype=torch.float64))
    assert model[0].times.tolist() == [0.5, 1.25, 2.5]
    assert model[1].times.tolist() == [1.0, -0.5]
    assert times.horizons().tolist() == [2.0, 2.0, 1.5]


def test_the_number_of_steps_follows_the_times_where_their_length_is_given():
    model = two_blocks()
    times = LearnedTimes(model, TimeBounds())
    assert times.evaluations() == 2 * (2 + 4) + 4 * 3
    times.write(torch.tensor([1.01, 1.5, 0.4], dtype=torch.float64))
    assert model[0].steps == [3, 2]
    assert times.evaluations() == 2 * (3 + 2) + 4 * 3
    x = torch.ones(1, 1, dtype=torch.float64)
    x = model[0](x)
    assert model[0].evaluations == 10
    assert float(x.detach()) == pytest.approx(math.exp(-1.0), rel=1e-2)
    assert sum(model[0].weights()) == pytest.approx(1.0)


@pytest.mark.parametrize("length", [0.3, 0.7, 0.9])
def test_times_in_single_precision_take_no_further_step(length):
    block = NeuralODE(Decay(), times=(0.0, length), step=0.1, learn_times=True)
    assert block.steps == [round(length / 0.1)]


def test_constraints_say_what_is_allowed():
    model = two_blocks()
    times = LearnedTimes(model, TimeBounds(low=0.4, high=3.0, gap=0.1))
    rows, limits, said = times.constraints()

    def broken(*values):
        excess = rows @ torch.tensor(values, dtype=torch.float64) - limits
        return [what for what, e in zip(said, excess.tolist(), strict=True) if e > 1e-12]

    assert broken(1.0, 2.0, 0.0) == []
    assert broken(0.6, 0.9, 0.6) == []
    assert broken(1.0, 3.6, 0.0) == ["0: longest time"]
    assert broken(0.65, 0.8, 0.0) == ["0: shortest time"]
    assert broken(0.55, 2.0, 0.0) == ["0: gap before time 1"]
    assert broken(1.0, 1.05, 0.0) == ["0: gap before time 2"]
    assert broken(1.0, 2.0, -2.1) == ["1: longest time"]
    assert broken(1.0, 2.0, 0.7) == ["1: shortest time"]


@pytest.mark.parametrize("at", [(1.0, 2.0, 0.0), (0.6, 2.0, 0.0), (1.9, 2.0, 0.9)])
def test_cost_and_its_slope(at):
    model = two_blocks()
    times = LearnedTimes(model, TimeBounds())
    price = TimeCost(per_time=0.3, per_evaluation=0.01)
    at = torch.tensor(at, dtype=torch.float64)
    times.write(at)
    value, slope = times.cost(price)
    steps = max((at[0] - 0.5) / 0.25, 1) + max((at[1] - at[0]) / 0.25, 1)
    assert value == pytest.approx(float(0.3 * (1.5 + 1 - at[2]) + 0.01 * (2 * steps + 12)))
    assert 0.01 * times.evaluations() + 0.3 * (1.5 + 1 - float(at[2])) >= value - 1e-12
    for k in range(3):
        found = []
        for shift in (0.01, -0.01):
            moved = at.clone()
            moved[k] += shift
            times.write(moved)
            found.append(times.cost(price)[0])
        assert float(slope[k]) == pytest.approx((found[0] - found[1]) / 0.02, abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        (TimeBounds, {"low": 0.0}, "low"),
        (TimeBounds, {"low": 2.0, "high": 1.0}, "high"),
        (TimeBounds, {"high": math.inf}, "high"),
        (TimeBounds, {"gap": -1.0}, "gap"),
        (TimeCost, {"per_time": -1.0}, "per_time"),
        (TimeCost, {"per_evaluation": math.nan}, "per_evaluation"),
    ],
)
def test_senseless_bounds_and_costs_are_named(kind, options, named):
    with pytest.raises(InvalidInputError, match=rf"^{named}: expected"):
        kind(**options)


@pytest.mark.parametrize(
    "bounds", [TimeBounds(low=1.2), TimeBounds(high=1.2), TimeBounds(low=0.9, gap=0.6)]
)
def test_times_out_of_bounds_are_refused(bounds):
    with pytest.raises(InvalidInputError, match=r"^bounds: expected"):
        LearnedTimes(two_blocks(), bounds)


def test_a_network_without_trainable_times_is_refused():
    with pytest.raises(InvalidInputError, match="learn_times=True"):
        LearnedTimes(nn.Sequential(NeuralODE(Decay())), TimeBounds())
