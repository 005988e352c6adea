"""Teams: the reduction to Adam, what a bargain is, units, refusals and going on."""

import copy
import math

import pytest
import torch
from torch import nn

import ocngame as og
from ocngame.errors import CheckpointError, InvalidInputError
from ocngame.solvers.players import (
    BargainingWeights,
    GivenWeights,
    LinearEnd,
    TeamConfig,
    TeamOpt,
)


def _conflict(units=(1.0, 1.0)):
    """Two who want the same point in x, and different ones in y, which the first owns."""
    x, y = (torch.tensor([v], dtype=torch.float64, requires_grad=True) for v in (3.0, 0.2))
    return og.PlayerGame(
        {"a": [x, y], "b": torch.zeros(1, dtype=torch.float64, requires_grad=True)},
        [
            lambda a, b: units[0] * (a[0] ** 2 + (a[1] - 1) ** 2 + 0 * b).sum(),
            lambda a, b: units[1] * (a[0] ** 2 + (a[1] + 1) ** 2 + b**2).sum(),
        ],
    )


def _modules():
    torch.manual_seed(0)
    trunk, first, second = nn.Linear(3, 4), nn.Linear(4, 1), nn.Linear(4, 2)
    return og.PlayerGame(
        {"trunk": trunk, "first": first, "second": second},
        [
            lambda t, f, s, x: t(x).square().mean(),
            lambda t, f, s, x: (f(t(x).tanh()) - 1).square().mean(),
            lambda t, f, s, x: 50 * s(t(x).tanh()).cos().mean(),
        ],
    )


def test_given_weights_are_adam_on_the_weighted_sum():
    ours, theirs = _modules(), _modules()
    weights = (0.5, 2.0, 1.0)
    team = TeamOpt(ours, lr=0.01, config=TeamConfig(weights=GivenWeights(values=weights)))
    adam = torch.optim.Adam([p for own in theirs.parameters for p in own], lr=0.01)
    noise = torch.Generator().manual_seed(1)
    for _ in range(8):
        x = torch.randn(5, 3, generator=noise)
        info = team.step(x)
        assert info.weights == weights
        adam.zero_grad()
        costs = theirs.evaluate([list(own) for own in theirs.parameters], x)
        sum(w * c for w, c in zip(weights, costs, strict=True)).backward()
        adam.step()
    assert torch.allclose(ours.control, theirs.control, atol=1e-6)


def test_the_first_bargain_gains_all_the_same_share():
    game = _conflict()
    before = game.control
    config = TeamConfig(momentum=0.0, decay=0.5, epsilon=1.0)
    info = TeamOpt(game, lr=1e-3, config=config).step()
    slopes = torch.tensor([[6.0, -1.6, 0.0], [6.0, 2.4, 0.0]], dtype=torch.float64)
    gains = info.weights[0] * slopes[0] + info.weights[1] * slopes[1]
    shares = torch.tensor(info.weights, dtype=torch.float64) * (slopes @ gains)
    assert float(shares[0]) == pytest.approx(float(shares[1]))
    assert bool(((game.control - before) * gains <= 0).all())


def test_units_of_the_costs_change_a_bargain_not_at_all_and_a_sum_very_much():
    for weights, same in ((BargainingWeights(), True), (GivenWeights(), False)):
        ends = []
        for units in ((1.0, 1.0), (1e3, 1e-3)):
            game = _conflict(units)
            team = TeamOpt(game, lr=0.01, config=TeamConfig(weights=weights))
            for _ in range(40):
                team.step()
            ends.append(game.control)
        assert torch.allclose(*ends, atol=1e-5) == same


def test_a_bargain_ends_where_no_move_helps_everybody():
    game = _conflict()
    team = TeamOpt(game, lr=0.2, config=TeamConfig(momentum=0.0, decay=0.9))
    for k in range(100):
        team.lr = 0.2 * LinearEnd().factor(k / 100)
        team.step()
    x, y, _ = game.control.tolist()
    assert abs(x) < 5e-2
    assert -1 <= y <= 1
    still = _conflict()
    still.assign(torch.zeros(3, dtype=torch.float64))
    info = TeamOpt(still).step()
    assert not info.accepted
    assert info.reason == "no move helps every player"
    assert still.control.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("weights", [BargainingWeights(), GivenWeights()])
def test_it_goes_on_bitwise_and_averages(weights):
    game = _modules()
    config = TeamConfig(weights=weights)
    team = TeamOpt(game, config=config)
    noise = torch.Generator().manual_seed(0)
    batches = [torch.randn(4, 3, generator=noise) for _ in range(6)]
    for x in batches[:3]:
        team.step(x)
    state, control = copy.deepcopy(team.state_dict()), game.control
    ends = []
    for again in (team, TeamOpt(game, config=config)):
        if again is not team:
            game.assign(control)
            again.load_state_dict(state)
        for x in batches[3:]:
            assert again.step(x).accepted
        ends.append(torch.cat([game.control, again.average()]))
    assert torch.equal(*ends)
    with pytest.raises(CheckpointError, match="expected the state of TeamOpt"):
        TeamOpt(_conflict()).load_state_dict(state)


def test_nan_is_refused_and_nothing_is_lost():
    game = _modules()
    team = TeamOpt(game)
    team.step(torch.ones(2, 3))
    before, state = game.control, copy.deepcopy(team.state_dict())
    info = team.step(torch.full((2, 3), math.nan))
    assert not info.accepted
    assert "not finite" in info.reason
    assert torch.equal(game.control, before)
    assert all(torch.equal(team.state_dict()[k], state[k]) for k in ("mean", "square", "size"))


def test_bad_input_is_one_sentence(as_user):
    with pytest.raises(InvalidInputError, match="values: expected 2 weights, one per player, got"):
        TeamOpt(_conflict(), config=TeamConfig(weights=GivenWeights(values=(1.0,))))
    for values in ((-1.0, 1.0), (0.0, 0.0), (math.nan, 1.0)):
        with pytest.raises(InvalidInputError, match="values: expected numbers of at least 0"):
            GivenWeights(values=values)
    for wrong in ({"momentum": 1.0}, {"decay": -0.1}, {"epsilon": 0.0}, {"weights": "nash"}):
        with pytest.raises(InvalidInputError, match=next(iter(wrong))):
            TeamConfig(**wrong)
    x, y = (torch.ones(1, requires_grad=True) for _ in range(2))
    idle = og.PlayerGame([x, y], [lambda x, y: torch.ones(()), lambda x, y: (x * y).sum()])
    with pytest.raises(InvalidInputError, match="cost of player '0' to depend on a control"):
        TeamOpt(idle).step()
