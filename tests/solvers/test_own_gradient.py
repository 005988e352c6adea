"""One backward pass for gradient and column, where a column is the loss's own gradient."""

import copy

import pytest
import torch
from torch import nn
from torch.autograd.graph import get_gradient_edge

from ocngame.curvature import SketchedColumns
from ocngame.games.rollout import Rollout
from ocngame.solvers.flows import ContinuousFlow, FlowField, FlowHessian, FlowLoss
from ocngame.solvers.ocnopt import OCNOpt, OCNOptConfig
from ocngame.solvers.ocnopt.own_gradient import loss_scale


def parts(count=6):
    torch.manual_seed(3)
    layer = nn.Linear(4, 3).double()
    return layer, layer(torch.randn(count, 4, dtype=torch.float64))


def signed(gradients):
    signs = torch.tensor([1.0, -1.0] * (len(gradients) // 2), dtype=torch.float64)
    return (gradients * signs[:, None]).unsqueeze(0)


def test_the_factor_of_a_mean_is_the_number_of_samples():
    _, y = parts()
    loss = 0.5 * y.square().sum(1).mean()
    assert loss_scale(loss, y, signed(y.detach())) == pytest.approx(6)
    assert loss_scale(loss / 2, y, signed(y.detach())) == pytest.approx(12)
    assert y.grad_fn is not None  # the graph is still there
    loss.backward()


def test_what_is_not_the_gradient_is_none():
    layer, y = parts()
    loss = 0.5 * y.square().sum(1).mean()
    mixed = signed(y.detach())
    mixed[0, 0, 0] *= -1  # a sign within a sample
    assert loss_scale(loss, y, mixed) is None
    longer = signed(y.detach())
    longer[0, 0] *= 2  # samples of unlike factors
    assert loss_scale(loss, y, longer) is None
    assert loss_scale(loss, y, torch.zeros(1, 6, 3).double()) is None
    assert loss_scale(loss, y, signed(y.detach()).expand(2, -1, -1)) is None
    decayed = loss + layer.weight.square().sum()  # ends at a leaf
    assert loss_scale(decayed, y, signed(y.detach())) == pytest.approx(6)


def test_a_loss_that_reads_hidden_states_is_none():
    torch.manual_seed(3)
    first, last = nn.Linear(4, 5).double(), nn.Linear(5, 3).double()
    hidden = first(torch.randn(6, 4, dtype=torch.float64))
    y = last(hidden.tanh())
    loss = 0.5 * y.square().sum(1).mean()
    places = [get_gradient_edge(hidden), get_gradient_edge(y)]
    column = signed(y.detach())
    assert loss_scale(loss, y, column, places) == pytest.approx(6)
    assert loss_scale(loss + hidden.square().mean(), y, column, places) is None
    long = loss
    for _ in range(100):  # too long to be looked through
        long = long * 1.0
    assert loss_scale(long, y, column, places) is None


def flow_steps(monkeypatch, *, overheard, steps=4):
    torch.manual_seed(0)
    flow = ContinuousFlow(FlowField(2, (6, 5)), 2, steps=2).double()
    weights = {"kinetic": 0.1, "jacobian": 0.2}
    config = OCNOptConfig(columns=SketchedColumns(one_in=4, least=4))
    optimizer = OCNOpt(flow, FlowLoss(**weights), hessian=FlowHessian(**weights), config=config)
    passes = []
    with monkeypatch.context() as patch:
        if not overheard:
            patch.setattr("ocngame.solvers.ocnopt.batch.loss_scale", lambda *_: None)
        count = Rollout._backward
        patch.setattr(Rollout, "_backward", lambda *a: passes.append(1) or count(*a))
        x = torch.randn(16, 2, dtype=torch.float64)
        infos = [optimizer.step(x, torch.zeros(16)) for _ in range(steps)]
    assert all(info.accepted and info.measured for info in infos)
    assert len(passes) == (0 if overheard else steps)
    return copy.deepcopy(flow.state_dict()), infos[-1].predicted


def test_flows_step_alike_with_one_pass_and_with_two(monkeypatch):
    torch.manual_seed(0)
    one, promised = flow_steps(monkeypatch, overheard=True)
    two, wanted = flow_steps(monkeypatch, overheard=False)
    assert promised == pytest.approx(wanted, rel=1e-8)
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-8, atol=1e-10)


def test_the_gradient_is_bitwise_that_of_backward():
    torch.manual_seed(0)
    flow = ContinuousFlow(FlowField(2, (6, 5)), 2, steps=2)
    x, loss = torch.randn(16, 2), FlowLoss()
    loss(flow(x)).backward()
    plain = [p.grad.clone() for p in flow.parameters()]
    optimizer = OCNOpt(flow, loss, hessian=FlowHessian())
    flow.zero_grad()
    optimizer.backward(lambda: loss(flow(x)))
    for p, gradient in zip(flow.parameters(), plain, strict=True):
        assert torch.equal(p.grad, gradient)
