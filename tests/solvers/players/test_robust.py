"""Robust training: the game's costs, what the adversary remembers, refusals and going on."""

import copy
import math

import pytest
import torch
from torch import nn

from ocngame.errors import CheckpointError, InvalidInputError
from ocngame.games import PerturbationBall
from ocngame.solvers.players import IterateAverage, RobustConfig, RobustOpt
from ocngame.solvers.players.baselines import FastTraining, ProjectedTraining, TradesTraining
from ocngame.solvers.players.robust import divergence

BALL = PerturbationBall(radius=0.1, low=0.0, high=1.0)


def _task(seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(40, 6, generator=generator, dtype=dtype)
    y = (x[:, 0] > x[:, 1]).long() + (x[:, 2] > 0.5).long()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3)).to(dtype)
    return model, x, y


def test_the_divergence_is_cross_entropy_with_soft_targets_less_a_constant():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
    p, q = a.softmax(1), b.softmax(1)
    assert torch.allclose(divergence(a, b), (p * (p.log() - q.log())).sum(1))
    b.requires_grad_()
    (slope,) = torch.autograd.grad(divergence(a, b).sum(), b)
    assert torch.allclose(slope, q - p)


def test_the_adversary_goes_on_from_where_it_was_and_stays_in_the_ball():
    model, x, y = _task()
    opt = RobustOpt(model, x, config=RobustConfig(ball=BALL, lr=1e-9, reach=0.3))
    rows = torch.arange(20)
    before = opt.kept.clone()
    gaps = [opt.step(rows, y[rows]).gap for _ in range(8)]
    assert gaps[0] < gaps[1] < gaps[3]  # the network hardly moves: the adversary gains
    assert torch.equal(opt.kept[20:], before[20:])
    assert float(opt.kept.abs().max()) <= 0.1 + 1e-12
    moved = x + opt.kept
    assert float(moved.min()) >= -1e-12
    assert float(moved.max()) <= 1 + 1e-12


def test_without_weight_and_memory_it_is_adam():
    model, x, y = _task()
    other, _, _ = _task()
    opt = RobustOpt(model, x, config=RobustConfig(ball=BALL, weight=0.0, memory=0.0))
    adam = torch.optim.Adam(other.parameters(), lr=3e-3)
    for _ in range(5):
        opt.step(torch.arange(40), y)
        adam.zero_grad()
        nn.functional.cross_entropy(other(x), y).backward()
        adam.step()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-12)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("inner", [0, 2])
def test_it_learns_what_withstands_the_attack(norm, inner):
    ball = PerturbationBall(radius=0.05, norm=norm, low=0.0, high=1.0)
    model, x, y = _task()
    opt = RobustOpt(model, x, config=RobustConfig(ball=ball, inner=inner, lr=1e-2))
    first = [opt.step(torch.arange(40), y) for _ in range(200)]
    assert first[-1].clean < 0.5 * first[0].clean
    assert all(info.accepted for info in first)


@pytest.mark.parametrize("kind", [FastTraining, ProjectedTraining, TradesTraining])
def test_the_usual_methods_learn_and_go_on_bitwise(kind):
    model, x, y = _task()
    training = kind(model, x, ball=BALL, memory=0.9, seed=3)
    rows = torch.arange(40)
    costs = [training.step(rows, y).clean for _ in range(60)]
    assert costs[-1] < costs[0]
    copied = copy.deepcopy(training.state_dict())
    again, _, _ = _task()
    again.load_state_dict({k: v.clone() for k, v in model.state_dict().items()})
    other = kind(again, x, ball=BALL, memory=0.9)
    other.load_state_dict(copied)
    ends = []
    for one, net in ((training, model), (other, again)):
        one.step(rows, y)
        one.average(net)
        ends.append(torch.cat([p.detach().reshape(-1) for p in net.parameters()]))
    assert torch.equal(*ends)


def test_a_step_with_nan_changes_nothing():
    model, x, y = _task()
    opt = RobustOpt(model, x, config=RobustConfig(ball=BALL))
    opt.step(torch.arange(40), y)
    before = [p.detach().clone() for p in model.parameters()], opt.kept.clone()
    x[3] = math.nan
    info = opt.step(torch.arange(5), y[:5])
    assert not info.accepted
    assert all(torch.equal(a, b) for a, b in zip(before[0], model.parameters(), strict=True))
    assert torch.equal(opt.kept, before[1])


def test_wrong_settings_and_states_are_refused():
    model, x, _ = _task()
    for wrong in (
        {"weight": -1.0},
        {"stages": 0},
        {"inner": -1},
        {"reach": 0.0},
        {"lr": 0.0},
        {"memory": 1.0},
    ):
        with pytest.raises(InvalidInputError, match=next(iter(wrong))):
            RobustConfig(ball=BALL, **wrong)
    with pytest.raises(InvalidInputError, match="model: expected trainable parameters"):
        RobustOpt(nn.Flatten(), x, config=RobustConfig(ball=BALL))
    opt = RobustOpt(model, x, config=RobustConfig(ball=BALL))
    fewer = RobustOpt(model, x[:7], config=RobustConfig(ball=BALL))
    with pytest.raises(CheckpointError, match="expected the state of RobustOpt for 40 samples"):
        opt.load_state_dict(fewer.state_dict())


def test_the_average_forgets_the_start_and_settles_between():
    tensor = torch.zeros(1, dtype=torch.float64)
    average = IterateAverage([tensor], memory=0.99)
    for n in range(1000):
        tensor.fill_((-1.0) ** n)
        average.update()
    assert abs(float(average.values[0])) < 0.02
    with pytest.raises(CheckpointError, match="average of 1 tensors"):
        average.load_state_dict({"values": [torch.zeros(2)], "count": 1})


def test_on_a_linear_classifier_the_kept_l2_perturbation_is_the_worst_there_is():
    """Per sample: of length `radius`, along the difference of the classes' weights."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, 2)).double()
    x = torch.rand(6, 2, 2, 2, dtype=torch.float64)
    y = torch.randint(0, 2, (6,))
    ball = PerturbationBall(radius=0.3, norm="l2")
    opt = RobustOpt(model, x, config=RobustConfig(ball=ball, lr=1e-12, memory=0.0))
    for _ in range(60):
        opt.step(torch.arange(6), y)
    weights = model[1].weight.detach()
    across = (weights[0] - weights[1]) / (weights[0] - weights[1]).norm()
    d = opt.kept.flatten(1)
    assert torch.allclose(d.norm(dim=1), torch.full((6,), 0.3, dtype=torch.float64))
    assert torch.allclose((d @ across).abs(), torch.full((6,), 0.3, dtype=torch.float64), atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_kept_perturbations_stay_in_the_ball_and_in_the_bounds(norm):
    ball = PerturbationBall(radius=0.4, norm=norm, low=0.0, high=1.0)
    model, x, y = _task()
    opt = RobustOpt(model, x, config=RobustConfig(ball=ball, stages=2, reach=1.0))
    for _ in range(10):
        opt.step(torch.arange(len(x)), y)
        size = opt.kept.abs().amax(1) if norm == "linf" else opt.kept.norm(dim=1)
        assert float(size.max()) <= 0.4 + 1e-9
        assert float((x + opt.kept).min()) >= 0
        assert float((x + opt.kept).max()) <= 1
    assert float(size.max()) > 0.2
