"""Which steps measure, and what a measurement of a part of the samples sees."""

import itertools

import pytest
import torch
from torch import nn

from ocngame import GameGraph, NeuralODE
from ocngame.curvature import ExactColumns, SketchedColumns
from ocngame.errors import InvalidInputError
from ocngame.games.rollout import record_rollout
from ocngame.solvers.ocnopt import Feedback, OCNOptConfig, Rhythm


def test_gaps_grow_with_the_steps_until_the_longest():
    rhythm = Rhythm(first=3, measure_every=10, ramp=0.5)
    due = [step for step in range(200) if rhythm.measures(step)]
    assert due[:10] == [0, 1, 2, 3, 4, 6, 9, 13, 19, 28]
    gaps = [b - a for a, b in itertools.pairwise(due[9:])]
    assert gaps == [10] * len(gaps)
    assert rhythm.measures(28 + 10 * 10**5)
    assert not rhythm.measures(28 + 10 * 10**5 + 1)


def test_without_a_ramp_gaps_are_even():
    rhythm = Rhythm(first=2, measure_every=3)
    assert [step for step in range(12) if rhythm.measures(step)] == [0, 1, 2, 5, 8, 11]


@pytest.mark.parametrize("ramp", [0.0, -1.0, float("nan")])
def test_a_ramp_that_makes_no_sense_is_refused(ramp):
    with pytest.raises(InvalidInputError, match="ramp"):
        Rhythm(ramp=ramp)


def test_columns_of_a_part_are_those_of_its_samples():
    torch.manual_seed(0)
    field = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3))
    ode = NeuralODE(OfState(field), steps=3)
    model = nn.Sequential(nn.Linear(4, 3), ode, nn.LayerNorm(3), nn.Linear(3, 2)).double()
    x = torch.randn(7, 4, dtype=torch.float64)
    game = GameGraph.from_module(model)
    rollout = record_rollout(
        game.program, game.control_stages, lambda: model(x), fields=game.fields
    )
    seeds = torch.randn(2, 7, 2, dtype=torch.float64)
    whole, part = rollout.backpropagate(seeds), rollout.backpropagate(seeds, 3)
    for one, other in zip(part, whole, strict=True):
        assert one.count == (2, 3)
        torch.testing.assert_close(one.dense, other.dense[:, ::3])


class OfState(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, t, x):
        return self.net(x)


def test_small_batches_are_measured_whole():
    rule = SketchedColumns(one_in=4, least=32)
    assert [rule.every(samples) for samples in (1, 40, 64, 100, 128, 1000)] == [1, 1, 2, 3, 4, 4]


def test_feedback_needs_every_sample():
    with pytest.raises(InvalidInputError, match="columns: expected a rule that measures every"):
        OCNOptConfig(feedback=Feedback.STACKED, columns=SketchedColumns(one_in=2))
    OCNOptConfig(feedback=Feedback.STACKED, columns=ExactColumns())
    with pytest.raises(InvalidInputError, match="one_in"):
        SketchedColumns(one_in=0)
