"""The adversary of a network: its stage problem by brute force, its balls, its bookkeeping."""

import itertools

import pytest
import torch
from torch import nn

from ocngame.errors import InvalidInputError
from ocngame.games import PerturbationBall
from ocngame.solvers.players import InputAdversary
from ocngame.solvers.players.baselines import FastGradientSign, ProjectedGradient


def _network(seed=0, inputs=6):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, 3)).double()


def _samples(count=40, inputs=6):
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(count, inputs, dtype=torch.float64, generator=generator)
    return x, torch.randint(0, 3, (count,), generator=generator)


def _expansion(model, x, y):
    """v_x and V_xx of one sample by torch's own derivatives, Gauss-Newton."""
    jacobian = torch.autograd.functional.jacobian(model, x)
    p = model(x).detach().softmax(-1)
    one = nn.functional.one_hot(y, 3).double()
    return jacobian.T @ (p - one), jacobian.T @ (torch.diag(p) - torch.outer(p, p)) @ jacobian


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_move_climbs_the_expansion_from_its_linear_part(norm):
    model, (x, y) = _network(), _samples()
    ball = PerturbationBall(radius=1.5, norm=norm)
    loss = nn.CrossEntropyLoss()
    moves = [InputAdversary(ball=ball, inner=k).perturb(model, loss, x, y) for k in (0, 1, 3, 30)]
    best = 0
    for i in range(len(x)):
        slope, curvature = _expansion(model, x[i], y[i])
        assert torch.allclose(moves[0][i], ball.steepest(slope.unsqueeze(0))[0])
        values = [float(slope @ m[i] + 0.5 * m[i] @ curvature @ m[i]) for m in moves]
        assert values == sorted(values)
        if norm == "linf":
            corners = 1.5 * torch.tensor(list(itertools.product((-1, 1), repeat=6))).double()
            exact = corners @ slope + 0.5 * ((corners @ curvature) * corners).sum(1)
            assert values[-1] <= float(exact.max()) + 1e-12
            best += values[-1] > float(exact.max()) - 1e-9
        else:
            # At the end the direction is that of the gradient there: stationary on the sphere.
            ahead = slope + curvature @ moves[-1][i]
            assert torch.allclose(moves[-1][i], 1.5 * ahead / ahead.norm(), atol=1e-3)
    if norm == "linf":
        assert best >= 30


def test_more_stages_never_help_the_network():
    model, (x, y) = _network(), _samples()
    ball = PerturbationBall(radius=0.3, low=0.0, high=1.0)
    loss = nn.CrossEntropyLoss()

    def total(stages):
        d = InputAdversary(ball=ball, stages=stages).perturb(model, loss, x, y)
        assert float(d.abs().max()) <= 0.3 + 1e-12
        assert float((x + d).min()) >= 0
        assert float((x + d).max()) <= 1
        return nn.functional.cross_entropy(model(x + d), y, reduction="none")

    clean = nn.functional.cross_entropy(model(x), y, reduction="none")
    two, five = total(2), total(5)
    assert bool((two >= clean).all())
    assert bool((five >= two - 1e-12).all())
    strong = ProjectedGradient(ball=ball, steps=50, restarts=5)
    d = strong.perturb(model, x, y, torch.Generator().manual_seed(0))
    pgd = nn.functional.cross_entropy(model(x + d), y)
    assert float(five.mean().detach()) > 0.97 * float(pgd.detach())


def test_parameters_and_their_gradients_stay():
    model, (x, y) = _network(), _samples()
    before = [p.clone() for p in model.parameters()]
    InputAdversary(ball=PerturbationBall(radius=0.1), stages=2).perturb(
        model, nn.CrossEntropyLoss(), x, y
    )
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_perturbations_stay_in_the_ball(norm):
    ball = PerturbationBall(radius=0.5, norm=norm, low=0.0, high=1.0)
    x, y = _samples()
    generator = torch.Generator().manual_seed(0)
    model = _network()
    for d in (
        ball.random(x, generator),
        ball.project(10 * torch.randn(x.shape, generator=generator).double(), x),
        FastGradientSign(ball=ball).perturb(model, x, y, generator),
        ProjectedGradient(ball=ball, steps=3).perturb(model, x, y, generator),
    ):
        size = d.abs().amax(1) if norm == "linf" else d.norm(dim=1)
        assert float(size.max()) <= 0.5 + 1e-12
        assert float((x + d).min()) >= 0
        assert float((x + d).max()) <= 1
    inside = 0.01 * torch.ones_like(x)
    free = PerturbationBall(radius=0.5, norm=norm)
    assert torch.equal(free.project(inside, x), inside)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"radius": -0.1}, "radius: expected a finite number above 0, got -0.1"),
        ({"radius": 0.1, "norm": "l3"}, "norm: unknown name 'l3'"),
        ({"radius": 0.1, "low": 1.0, "high": 0.0}, "low: expected less than high=0.0, got 1.0"),
    ],
)
def test_bad_balls_are_refused(settings, message):
    with pytest.raises(InvalidInputError, match=message):
        PerturbationBall(**settings)
