"""What the second-order feedback promises against what the loss does, and without the feedback."""

import pytest
import torch
from torch import nn
from vector_fields import PlainField

import ocngame as og
from ocngame.games.continuous import TimeBounds, TimeCost
from ocngame.solvers.horizon import ExactTimes, SecondOrderTimes, TimeControl

STEPS = 30


def task(seed):
    torch.manual_seed(seed)
    ode = og.NeuralODE(PlainField(4, 12), times=(0.0, 1.0), steps=3, learn_times=True)
    model = nn.Sequential(nn.Linear(6, 4), ode, nn.Linear(4, 3)).double()
    x = torch.randn(512, 6, dtype=torch.float64)
    y = (x[:, :2].square().sum(1) - x[:, 2]).mul(0.6).clamp(0, 2.9).long()
    return model, x, y


def promises(kind, seed, lr):
    """Train, and at every step note the true change of a batch's loss by the times' move after the
    weights', and three promises of it: with feedback, without, and with its sign turned.
    """
    model, x, y = task(seed)
    loss, price = nn.CrossEntropyLoss(), TimeCost(per_time=0.05)
    opt = og.OCNOpt(model, loss, lr=lr)
    rule = SecondOrderTimes(curvature=kind, start=0, every=1, memory=0.0, radius=0.1)
    control = TimeControl(model, loss, rule=rule, cost=price, bounds=TimeBounds(low=0.2, high=4.0))
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(STEPS):
        chosen = torch.randperm(len(x), generator=generator)[:128]
        a, b = x[chosen], y[chosen]
        policy = control.policy(a, b)
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        between = []

        def move(a=a, b=b, between=between):
            opt.step(a, b)
            between.append(float(loss(model(a), b).detach()) + control.times.cost(price)[0])

        _, made = control.step(move, a, b)
        true = float(loss(model(a), b).detach()) + control.times.cost(price)[0] - between[0]
        du = {n: p.detach() - before[n] for n, p in model.named_parameters()}
        dt = torch.tensor(made.move, dtype=torch.float64)
        assert made.predicted == pytest.approx(policy.predicted(du, dt))
        part = float(policy.carried(du) @ dt)
        found.append((true, made.predicted, made.predicted - part, made.predicted - 2 * part))
    return torch.tensor(found, dtype=torch.float64).T


def correlation(one, other):
    return float(torch.corrcoef(torch.stack([one, other]))[0, 1])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_promised_changes_of_the_loss_come_true_with_the_feedback_only(seed):
    """Where the weights move little; at full length their moves are too long for any expansion."""
    true, full, without, turned = promises(ExactTimes(), seed, lr=0.01)
    assert correlation(true, full) > 0.98
    for other in (without, turned):
        assert correlation(true, other) < correlation(true, full)
        assert (true - full).square().mean() < 0.1 * (true - other).square().mean()
