"""The step bounded in the divergence: natural gradients against dense linear algebra."""

import pytest
import torch
from torch import nn

from ocngame.curvature import CrossEntropyHessian, ExactColumns, KroneckerCurvature
from ocngame.errors import InvalidInputError
from ocngame.solvers.ocnopt import DivergenceStep, FixedDamping, OCNOpt, OCNOptConfig, Rhythm


def _problem(delta, curvature=None, lr=1.0):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3)).double()
    x, advantages = torch.randn(64, 4).double(), torch.randn(64).double()
    choices = torch.randint(3, (64,))
    config = OCNOptConfig(
        curvature=curvature or KroneckerCurvature(),
        columns=ExactColumns(),
        step=DivergenceStep(divergence=delta, ridge=1e-12),
        damping=FixedDamping(damping=1e-10),
        rhythm=Rhythm(first=1, measure_every=1),
        gradient_decay=0.0,
    )
    optimizer = OCNOpt(model, lr=lr, weight_decay=0.0, config=config, hessian=CrossEntropyHessian())

    def closure():
        log = model(x).log_softmax(-1).gather(-1, choices[:, None])[:, 0]
        return -(log * advantages).mean()

    before = model(x).detach().log_softmax(-1)

    def divergence():
        return float((before.exp() * (before - model(x).detach().log_softmax(-1))).sum(-1).mean())

    return model, optimizer, closure, divergence


@pytest.mark.parametrize("delta", [1e-6, 1e-4])
def test_the_divergence_of_a_step_is_the_bound(delta):
    _, optimizer, closure, divergence = _problem(delta)
    info = optimizer.step(closure)
    assert info.accepted
    assert info.cap < 1
    assert divergence() == pytest.approx(delta, rel=0.05)


def test_the_learning_rate_scales_the_move():
    _, optimizer, closure, divergence = _problem(1e-4, lr=0.5)
    optimizer.step(closure)
    assert divergence() == pytest.approx(0.25e-4, rel=0.05)


def test_within_the_bound_the_length_minimises_the_quadratic_model():
    model, optimizer, closure, _ = _problem(1e6)
    start = torch.cat([p.detach().flatten() for p in model.parameters()])
    gradient = torch.cat(
        [g.flatten() for g in torch.autograd.grad(closure(), list(model.parameters()))]
    )
    info = optimizer.step(closure)
    move = torch.cat([p.detach().flatten() for p in model.parameters()]) - start
    assert info.cap == 1
    # At the minimiser along the move, slope and curvature balance: g'v + v'Fv = 0.
    with torch.no_grad():
        model[0].weight.copy_(start[:12].view(3, 4))
        model[0].bias.copy_(start[12:])
    weight, bias = move[:12].view(3, 4), move[12:]
    torch.manual_seed(0)
    nn.Linear(4, 3).double()
    x = torch.randn(64, 4).double()
    p = model(x).detach().softmax(-1)
    pushed = x @ weight.mT + bias
    curved = (p * pushed.square()).sum(-1) - (p * pushed).sum(-1).square()
    assert float(gradient @ move) == pytest.approx(-float(curved.mean()), rel=1e-5)
    assert info.predicted == pytest.approx(0.5 * float(gradient @ move), rel=1e-5)


@pytest.mark.parametrize(("name", "value"), [("divergence", 0.0), ("ridge", -1.0), ("memory", 1.0)])
def test_settings_are_checked(name, value):
    with pytest.raises(InvalidInputError, match=f"{name}: expected"):
        DivergenceStep(**{name: value})
