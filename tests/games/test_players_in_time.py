"""Players whose modules solve equations: what their gradients see, and what is refused."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad

import ocngame as og
from ocngame.errors import NotDifferentiableError, UnsupportedModuleError
from ocngame.games.continuous import Adaptive, Adjoint, TimeLinear
from ocngame.games.player_derivatives import GamePoint, own_gradients
from ocngame.solvers.players import NetworkOwn

torchdiffeq = pytest.importorskip("torchdiffeq")


class Field(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = TimeLinear(3, 5), nn.Linear(5, 3)

    def forward(self, t, x):
        return self.last(torch.tanh(self.first(t, x)))


class Foreign(nn.Module):
    def __init__(self, field):
        super().__init__()
        self.field = field

    def forward(self, x):
        return torchdiffeq.odeint(self.field, x, torch.tensor([0.0, 1.0], dtype=x.dtype))[-1]


class ForeignAdjoint(Foreign):
    def forward(self, x):
        t = torch.tensor([0.0, 1.0], dtype=x.dtype)
        return torchdiffeq.odeint_adjoint(self.field, x, t)[-1]


def network(make):
    torch.manual_seed(2)
    return nn.Sequential(make(Field()), nn.Linear(3, 2)).double()


def game_of(make):
    torch.manual_seed(5)
    rival = nn.Sequential(nn.Linear(2, 1)).double()
    costs = [lambda a, b, x: b(a(x)).mean(), lambda a, b, x: -b(a(x)).mean() + b[0].weight.norm()]
    module = network(make)
    return module, og.PlayerGame({"a": module, "b": rival}, costs), torch.randn(6, 3).double()


FINE = Adjoint(adaptive=Adaptive(rtol=1e-9, atol=1e-9))
OWN = {
    "discretise": lambda field: og.NeuralODE(field, steps=8),
    "adjoint": lambda field: og.NeuralODE(field, steps=8, mode="adjoint"),
    "adaptive": lambda field: og.NeuralODE(field, mode=FINE),
    "odeint": Foreign,
}


@pytest.mark.parametrize("make", OWN.values(), ids=OWN)
def test_gradients_are_those_of_backward(make):
    module, game, x = game_of(make)
    costs, slope = own_gradients(game, game.values(), [x])
    rival = game.module(1)
    rival(module(x)).mean().backward()
    own = torch.cat([p.grad.flatten() for p in module.parameters()])
    assert own.norm() > 0.1
    torch.testing.assert_close(slope[game.control_slices[0]], own)
    assert torch.isfinite(costs).all()


def test_lent_tensors_are_seen_on_the_way_back():
    """At other values than the module's own, against the mode that keeps the graph."""
    found = []
    for mode in ("discretise", "adjoint"):
        module = network(lambda field, mode=mode: og.NeuralODE(field, steps=32, mode=mode))
        lent = {n: (1.5 * p).detach().requires_grad_() for n, p in module.named_parameters()}
        x = torch.linspace(-1, 1, 12).double().view(4, 3)
        functional_call(module, lent, (x,)).square().sum().backward()
        found.append([value.grad for value in lent.values()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("one", [False, True])
def test_odeint_adjoint_is_refused(one):
    _, game, x = game_of(ForeignAdjoint)
    leaves = [[p.requires_grad_() for p in own] for own in game.values()]
    with pytest.raises(NotDifferentiableError, match="odeint_adjoint of torchdiffeq"):
        game.evaluate_one(0, leaves, x) if one else game.evaluate(leaves, x)


@pytest.mark.parametrize("curvature", [None, NetworkOwn()])
def test_players_refuse_odeint_adjoint(curvature):
    module, game, x = game_of(ForeignAdjoint)
    before = [p.detach().clone() for p in module.parameters()]
    config = og.PlayerOptConfig() if curvature is None else og.PlayerOptConfig(curvature=curvature)
    optimizer = og.PlayerOpt(game, config=config)
    with pytest.raises(NotDifferentiableError, match="odeint_adjoint of torchdiffeq"):
        optimizer.step(x)
    for p, old in zip(module.parameters(), before, strict=True):
        assert torch.equal(p, old)


def test_second_derivatives_of_the_mode_adjoint_are_refused():
    _, game, x = game_of(OWN["adjoint"])
    with pytest.raises(NotDifferentiableError, match="expected 'discretise' for second derivat"):
        _ = GamePoint(game, game.values(), [x]).gradients


def test_own_blocks_of_the_mode_adjoint_are_refused():
    _, game, _ = game_of(OWN["adjoint"])
    with pytest.raises(UnsupportedModuleError, match="mode 'discretise' in 'a', got a NeuralODE"):
        NetworkOwn().networks(game)


def test_own_blocks_of_the_mode_discretise_work():
    module, game, x = game_of(OWN["discretise"])
    before = torch.cat([p.detach().flatten() for p in module.parameters()])
    optimizer = og.PlayerOpt(game, config=og.PlayerOptConfig(curvature=NetworkOwn()))
    optimizer.step(x)
    after = torch.cat([p.detach().flatten() for p in module.parameters()])
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)


def test_a_game_without_equations_is_looked_through_once():
    _, game, x = game_of(OWN["discretise"])
    first = own_gradients(game, game.values(), [x])[1]
    assert torch.equal(first, own_gradients(game, game.values(), [x])[1])
    value = grad(lambda w: game.evaluate([game.values()[0], [w, game.values()[1][1]]], x)[1])
    assert torch.isfinite(value(game.values()[1][0])).all()
