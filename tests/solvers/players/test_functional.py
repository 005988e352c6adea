"""Functional optimizers as rules of players: one written here, and TorchOpt's where it is."""

import copy
from importlib import import_module
from typing import Any, NamedTuple

import pytest
import torch
from player_games import curved_game

import ocngame as og
from ocngame.errors import CheckpointError, InvalidInputError
from ocngame.games import own_gradients
from ocngame.games.differentiable import bilinear
from ocngame.solvers.players.baselines import (
    ExtraAdam,
    FunctionalPlayers,
    OptimisticAdam,
    SimultaneousAdam,
    SimultaneousGradient,
)


class _Memory(NamedTuple):
    last: list
    count: int


class _HeavyBall:
    """Momentum as two pure functions."""

    def __init__(self, lr, momentum=0.5):
        self.lr, self.momentum = lr, momentum

    def init(self, params):
        return (_Memory([torch.zeros_like(p) for p in params], 0),)

    def update(self, updates, state, *, params, inplace):
        del params, inplace
        (memory,) = state
        last = [self.momentum * v - self.lr * g for v, g in zip(memory.last, updates, strict=True)]
        return last, (_Memory(last, memory.count + 1),)


def test_every_player_moves_by_its_own_rule():
    game, plain = curved_game(sizes=(3, 2)), curved_game(sizes=(3, 2))
    opt = FunctionalPlayers(game, [_HeavyBall(0.05, 0.0), _HeavyBall(0.02, 0.0)])
    for _ in range(4):
        before = plain.control
        _, slope = own_gradients(plain, plain.values())
        rates = torch.tensor([0.05] * 3 + [0.02] * 2, dtype=torch.float64)
        plain.assign(before - rates * slope)
        assert opt.step().accepted
        assert torch.allclose(game.control, plain.control)


def test_one_rule_for_all_without_memory_is_gradient_play():
    one, two = curved_game(), curved_game()
    rule, plain = FunctionalPlayers(one, _HeavyBall(0.05, 0.0)), SimultaneousGradient(two, lr=0.05)
    for _ in range(3):
        rule.step()
        plain.step()
    assert torch.allclose(one.control, two.control)


def test_the_state_goes_on_bitwise():
    whole, parts = curved_game(), curved_game()
    opt, first = (FunctionalPlayers(game, _HeavyBall(0.05)) for game in (whole, parts))
    for _ in range(6):
        opt.step()
    for _ in range(3):
        first.step()
    second = FunctionalPlayers(parts, _HeavyBall(0.05))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for _ in range(3):
        second.step()
    assert torch.equal(whole.control, parts.control)
    with pytest.raises(CheckpointError, match="same rules on the same game"):
        FunctionalPlayers(bilinear().game, _HeavyBall(0.05)).load_state_dict(first.state_dict())


def test_wrong_rules_are_refused(as_user):
    with pytest.raises(InvalidInputError, match="rules: expected one, or 3 in a list, got 1"):
        FunctionalPlayers(curved_game(), [_HeavyBall(0.1)])
    with pytest.raises(InvalidInputError, match="functions init and update"):
        FunctionalPlayers(curved_game(), "adam")


_METHODS: list[Any] = [
    lambda game: FunctionalPlayers(game, _HeavyBall(0.1)),
    lambda game: SimultaneousAdam(game, lr=0.1),
    lambda game: ExtraAdam(game, lr=0.1),
    lambda game: OptimisticAdam(game, lr=0.1),
]


@pytest.mark.parametrize("make", _METHODS)
def test_a_step_with_nan_leaves_what_the_method_remembers(make):
    ends = []
    for bad in (False, True):
        x, y = (torch.ones(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
        game = og.PlayerGame([x, y], [lambda x, y, s: s * x @ y, lambda x, y, s: -s * x @ y])
        opt = make(game)
        opt.step(torch.tensor(1.0))
        if bad:
            assert not opt.step(torch.tensor(float("nan"))).accepted
        opt.step(torch.tensor(1.0))
        ends.append(game.control)
    assert torch.equal(*ends)


def test_torchopts_adam_is_adam_for_players():
    pytest.importorskip("torchopt")
    torchopt = import_module("torchopt")
    one, two = curved_game(), curved_game()
    theirs = FunctionalPlayers(one, torchopt.adam(0.05, betas=(0.5, 0.9)))
    ours = SimultaneousAdam(two, lr=0.05)
    for k in range(6):
        if k == 3:
            state = copy.deepcopy(theirs.state_dict())
            theirs = FunctionalPlayers(one, torchopt.adam(0.05, betas=(0.5, 0.9)))
            theirs.load_state_dict(state)
        theirs.step()
        ours.step()
        assert torch.allclose(one.control, two.control, atol=1e-9)
    mixed = FunctionalPlayers(
        curved_game(),
        [torchopt.sgd(0.1, momentum=0.9), torchopt.rmsprop(0.01), torchopt.adamw(0.1)],
    )
    assert mixed.step().accepted
