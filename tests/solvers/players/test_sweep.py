"""The sweep: who sees whose move, its reduction to Adam, refusals and going on."""

import copy
import math

import pytest
import torch

import ocngame as og
from ocngame.errors import CheckpointError, InvalidInputError
from ocngame.games.differentiable import gaussian_gan, ring
from ocngame.solvers.players import SweepConfig, SweepOpt
from ocngame.solvers.players.baselines import SimultaneousAdam


def _bilinear(start=(1.0, 0.5)):
    x, y = (torch.tensor([v], dtype=torch.float64, requires_grad=True) for v in start)
    return og.PlayerGame([x, y], [lambda x, y: (x * y).sum(), lambda x, y: -(x * y).sum()])


def test_each_player_sees_the_moves_before_its_turn():
    game = _bilinear()
    config = SweepConfig(decay=0.0, momentum=0.0, epsilon=1.0, order=(1, 0))
    info = SweepOpt(game, lr=0.1, config=config).step()
    # player 1 first: slope -x = -1, D = (1 + 1) / 0.1; then player 0 at the new y
    y = 0.5 + 0.1 * 1.0 / 2.0
    x = 1.0 - 0.1 * y / (y + 1.0)
    assert game.control.tolist() == pytest.approx([x, y])
    assert info.residuals == pytest.approx((y, 1.0))
    assert info.costs == pytest.approx((y, -0.5))


def test_players_expect_the_last_moves_of_those_after_them():
    game = _bilinear()
    config = SweepConfig(decay=0.0, momentum=0.0, epsilon=1.0, order=(0, 1), expectation=0.7)
    opt = SweepOpt(game, lr=0.1, config=config)
    opt.step()
    first = game.control.clone()
    last = first - torch.tensor([1.0, 0.5], dtype=torch.float64)
    info = opt.step()
    assert info.residuals[0] == pytest.approx(float((first[1] + 0.7 * last[1]).abs()))


def test_one_player_is_adam():
    def game():
        u = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
        return og.PlayerGame([u], [lambda u: (u**4).sum() + u.prod()])

    ours, theirs = game(), game()
    sweep, adam = SweepOpt(ours, lr=0.05), SimultaneousAdam(theirs, lr=0.05)
    for _ in range(10):
        sweep.step()
        adam.step()
    assert torch.allclose(ours.control, theirs.control, atol=1e-12)


def test_it_stays_bounded_where_simultaneous_moves_spiral_out():
    size = []
    for make in (
        lambda g: SweepOpt(g, lr=0.1, config=SweepConfig(momentum=0.0, decay=0.999)),
        lambda g: SimultaneousAdam(g, lr=0.1, betas=(0.0, 0.999)),
    ):
        game = _bilinear()
        method = make(game)
        for _ in range(300):
            method.step()
        size.append(float(game.control.norm()))
    assert size[0] < 2.5
    assert size[1] > 2 * size[0]


def test_it_goes_on_bitwise_and_averages():
    ready = gaussian_gan(ring(), width=8, penalty=1.0)
    opt = SweepOpt(ready.game)
    noise = torch.Generator().manual_seed(0)
    batches = [ready.batch(16, noise) for _ in range(6)]
    for batch in batches[:3]:
        opt.step(*batch)
    state, control = copy.deepcopy(opt.state_dict()), ready.game.control
    ends = []
    for again in (opt, SweepOpt(ready.game)):
        if again is not opt:
            ready.game.assign(control)
            again.load_state_dict(state)
        for batch in batches[3:]:
            assert again.step(*batch).accepted
        ends.append(torch.cat([ready.game.control, again.average()]))
    assert torch.equal(*ends)
    with pytest.raises(CheckpointError, match="expected the state of SweepOpt for 2 numbers"):
        SweepOpt(_bilinear()).load_state_dict(state)


def test_nan_is_refused_and_nothing_is_lost():
    u = torch.ones(1, dtype=torch.float64, requires_grad=True)
    game = og.PlayerGame([u], [lambda u, t: (u * t).sum()])
    opt = SweepOpt(game)
    opt.step(torch.ones(1, dtype=torch.float64))
    before, state = game.control, copy.deepcopy(opt.state_dict())
    info = opt.step(torch.tensor([math.nan], dtype=torch.float64))
    assert not info.accepted
    assert "not finite" in info.reason
    assert torch.equal(game.control, before)
    assert torch.equal(opt.state_dict()["square"], state["square"])
    assert opt.state_dict()["count"] == state["count"]


def test_bad_input_is_one_sentence():
    with pytest.raises(InvalidInputError, match="order: expected each of 2 players once"):
        SweepOpt(_bilinear(), config=SweepConfig(order=(0, 0)))
    for wrong in ({"decay": 1.0}, {"momentum": -0.1}, {"expectation": -1.0}, {"epsilon": 0.0}):
        with pytest.raises(InvalidInputError, match=next(iter(wrong))):
            SweepConfig(**wrong)
    x, y = (torch.ones(1, requires_grad=True) for _ in range(2))
    idle = og.PlayerGame([x, y], [lambda x, y: y.sum(), lambda x, y: (x * y).sum()])
    with pytest.raises(InvalidInputError, match="'0' to depend on its own control"):
        SweepOpt(idle).step()
    vector = og.PlayerGame([x, y], [lambda x, y: x * torch.ones(2), lambda x, y: y.sum()])
    with pytest.raises(InvalidInputError, match="scalar tensor as the cost of player '0'"):
        SweepOpt(vector).step()
