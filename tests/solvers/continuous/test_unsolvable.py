"""Equations that explode, are stiff or cannot be run back: errors, or steps that change nothing."""

import copy
import math

import pytest
import torch
from torch import nn
from vector_fields import Solved

import ocngame as og
from ocngame import NeuralODE
from ocngame.errors import IntegrationError, InvalidInputError
from ocngame.games.continuous import Adaptive, Adjoint

torchdiffeq = pytest.importorskip("torchdiffeq")

ADAPTIVE = Adjoint(adaptive=Adaptive(rtol=1e-6, atol=1e-6, most_steps=200))


class Power(nn.Module):
    """`x' = W x + gain x^3`, which is infinite after a finite time."""

    def __init__(self, gain):
        super().__init__()
        self.layer, self.gain = nn.Linear(2, 2), gain

    def forward(self, t, x):
        return self.layer(x) + self.gain * x**3


class Pull(nn.Module):
    """`x' = -rate (x - sin(W x))`, stiff for a great rate."""

    def __init__(self, rate):
        super().__init__()
        self.layer, self.rate = nn.Linear(2, 2), rate

    def forward(self, t, x):
        return -self.rate * (x - torch.sin(self.layer(x)))


class Breaks(nn.Module):
    """A field that is NaN from some time on."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, t, x):
        return self.layer(x) + torch.where(t > 0.5, torch.nan, 0.0)


FIELDS = {
    "explodes": lambda: Power(400.0),
    "stiff": lambda: Pull(1e9),
    "is NaN": Breaks,
}


@pytest.fixture(params=FIELDS.values(), ids=list(FIELDS))
def field(request):
    torch.manual_seed(0)
    return request.param().double()


@pytest.fixture(params=["even", ADAPTIVE], ids=["even", "adaptive"])
def mode(request):
    return "adjoint" if request.param == "even" else request.param


def test_the_adjoint_mode_says_what_went_wrong(field, mode):
    block = NeuralODE(field, mode=mode)
    with pytest.raises(IntegrationError, match="field: expected"):
        block(torch.ones(3, 2, dtype=torch.float64)).sum().backward()


def snapshot(model, opt):
    state = opt.state_dict()["state"]
    return copy.deepcopy([[p.detach() for p in model.parameters()], state])


def equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


class Switched(nn.Module):
    """A tame field until it is spoilt."""

    def __init__(self, bad):
        super().__init__()
        self.good, self.bad, self.spoilt = nn.Linear(2, 2), bad, False

    def forward(self, t, x):
        if self.spoilt:
            return self.good(x) + self.bad(t, x)
        return torch.tanh(self.good(x)) + 0.01 * self.bad.layer(x)


def odeint(field, y):
    times = torch.tensor([0.0, 1.0], dtype=y.dtype)
    options = {"max_num_steps": 200}
    return torchdiffeq.odeint(field, y, times, method="dopri5", options=options)[-1]


def odeint_adjoint(field, y):
    times = torch.tensor([0.0, 1.0], dtype=y.dtype)
    options = {"max_num_steps": 200}
    return torchdiffeq.odeint_adjoint(field, y, times, method="dopri5", options=options)[-1]


MODELS = {
    "discretise": lambda f: nn.Sequential(nn.Linear(3, 2), NeuralODE(f), nn.Linear(2, 2)),
    "adjoint": lambda f: nn.Sequential(
        nn.Linear(3, 2), NeuralODE(f, mode="adjoint"), nn.Linear(2, 2)
    ),
    "adaptive": lambda f: nn.Sequential(nn.Linear(3, 2), NeuralODE(f, mode=ADAPTIVE)),
    "odeint": lambda f: Solved(odeint, f),
    "odeint_adjoint": lambda f: Solved(odeint_adjoint, f),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=list(MODELS))
@pytest.mark.parametrize("tame_steps", [1, 25], ids=["measuring", "not measuring"])
def test_ocnopt_refuses_the_step_and_loses_nothing(field, make, tame_steps):
    torch.manual_seed(1)
    model = make(Switched(field)).double()
    part = next(m for m in model.modules() if isinstance(m, Switched))
    opt = og.OCNOpt(model)
    x = torch.randn(8, 3, dtype=torch.float64)
    y = (x[:, 0] > 0).long()
    if tame_steps > 1:
        opt.config = copy.copy(opt.config)
        rhythm = og.solvers.ocnopt.Rhythm(first=1, measure_every=100)
        object.__setattr__(opt.config, "rhythm", rhythm)
        tame_steps = 3
    for _ in range(tame_steps):
        assert opt.step(x, y).accepted
    before = snapshot(model, opt)
    part.spoilt = True
    for count in (1, 2):
        info = opt.step(x, y)
        assert not info.accepted
        assert info.refused == count
        assert not info.loss < 1e8
    assert equal(snapshot(model, opt), before)
    part.spoilt = False
    assert opt.step(x, y).accepted


def test_an_equation_that_cannot_be_run_back_is_refused():
    """Going back along a strong contraction blows rounding errors and tolerances up."""
    torch.manual_seed(0)
    rule = Adjoint(adaptive=Adaptive(rtol=1e-3, atol=1e-3), kept=1)
    block = NeuralODE(Pull(60.0).double(), mode=rule)
    with pytest.raises(IntegrationError, match="can be run back from t=1 to t=0"):
        block(torch.ones(3, 2, dtype=torch.float64)).sum().backward()
    shorter = NeuralODE(block.field, mode=Adjoint(adaptive=rule.adaptive, kept=64))
    shorter(torch.ones(3, 2, dtype=torch.float64)).sum().backward()


def test_steps_of_users_that_fail_their_own_assertions_are_not_the_solvers():
    class Asserts(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, t, x):
            if not x.requires_grad:
                raise AssertionError("mine")
            return self.layer(x)

    with pytest.raises(AssertionError, match="mine"):
        NeuralODE(Asserts(), mode=ADAPTIVE)(torch.ones(3, 2))


def test_without_torchdiffeq_adaptive_steps_are_refused(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchdiffeq", None)
    with pytest.raises(InvalidInputError, match="adaptive: expected the package torchdiffeq"):
        NeuralODE(Pull(1.0), mode=ADAPTIVE)(torch.ones(3, 2))
