"""torchode through the same interface: the sums are the gradient, rejected steps drop out."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import ocngame as og
from ocngame import GameGraph
from ocngame.curvature import CrossEntropyHessian
from ocngame.errors import UnsupportedModuleError
from ocngame.games.rollout import record_rollout
from ocngame.linalg import IntegratedColumns

torchode = pytest.importorskip("torchode")


class Field(nn.Module):
    """Called with one time per sample."""

    def __init__(self, gain=1.0):
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)
        self.gain = gain

    def forward(self, t, x):
        return self.gain * self.last(torch.tanh(self.first(torch.cat([x, t[:, None]], 1))))


class Model(nn.Module):
    def __init__(self, solve, gain=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.before, self.field, self.after = nn.Linear(3, 2), Field(gain), nn.Linear(2, 2)
        self.solve = solve

    def forward(self, x):
        return self.after(self.solve(self.field, self.before(x)))


def by_function(field, y):
    times = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    controller = torchode.IntegralController(atol=1e-4, rtol=1e-4)
    found = torchode.solve_ivp(field, y, times, method="dopri5", controller=controller)
    return found.ys[:, 1] + found.ys[:, -1]


def by_object(field, y, solver=None):
    term = torchode.ODETerm(field)
    controller = torchode.IntegralController(atol=1e-5, rtol=1e-5, term=term)
    parts = torchode.Tsit5(term=term), controller
    solver = torchode.AutoDiffAdjoint(*parts) if solver is None else solver(term, *parts)
    times = torch.tensor([[0.0, 1.0]], dtype=torch.float64).repeat(5, 1)
    return solver.solve(torchode.InitialValueProblem(y0=y, t_eval=times)).ys[:, -1]


def rolled_out(model, x):
    game = GameGraph.from_module(model)
    return record_rollout(game.program, game.control_stages, lambda: model(x), fields=game.fields)


def inputs():
    torch.manual_seed(5)
    return torch.randn(5, 3, dtype=torch.float64)


@pytest.mark.parametrize("solve", [by_function, by_object])
@pytest.mark.parametrize("gain", [1.0, 8.0])
def test_summed_columns_of_the_gradient_are_the_gradient(solve, gain):
    model, x, y = Model(solve, gain).double(), inputs(), torch.tensor([0, 1, 1, 0, 1])
    F.cross_entropy(model(x), y).backward()
    plain = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    rollout = rolled_out(model, x)
    loss = F.cross_entropy(rollout.output, y)
    (at_output,) = torch.autograd.grad(loss, rollout.output, retain_graph=True)
    columns = rollout.differentiate(at_output * len(x)).gradients
    loss.backward()
    assert {c.module for c in rollout.controls} == {
        model.before,
        model.field.first,
        model.field.last,
        model.after,
    }
    for control, z in zip(rollout.controls, columns, strict=True):
        wanted = control.join([p.grad for p in control.parameters])
        torch.testing.assert_close(z.dense.mean((0, 1)), wanted, rtol=1e-12, atol=1e-14)
    for parameter, before in zip(model.parameters(), plain, strict=True):
        assert torch.equal(parameter.grad, before)


def test_rejected_steps_are_left_out():
    """Of one sample, and without the path of gradients through the choice of steps."""
    stats = {}

    def solve(field, y):
        term = torchode.ODETerm(field)
        controller = torchode.IntegralController(atol=1e-4, rtol=1e-4, term=term)
        solver = torchode.AutoDiffAdjoint(
            torchode.Dopri5(term=term), controller, backprop_through_step_size_control=False
        )
        problem = torchode.InitialValueProblem(
            y0=y, t_eval=torch.tensor([[0.0, 1.0]], dtype=torch.float64)
        )
        found = solver.solve(problem, dt0=torch.tensor([0.5], dtype=torch.float64))
        stats.update(found.stats)
        return found.ys[:, -1]

    model, x = Model(solve, 12.0).double(), inputs()[:1]
    rollout = rolled_out(model, x)
    columns = rollout.backpropagate(CrossEntropyHessian().exact(rollout.output.detach())[:1])
    (z,) = [
        z for c, z in zip(rollout.controls, columns, strict=True) if c.module is model.field.last
    ]
    accepted, steps = int(stats["n_accepted"]), int(stats["n_steps"])
    assert accepted < steps
    assert isinstance(z, IntegratedColumns)
    assert 6 * accepted <= len(z.uses) <= 6 * accepted + 1
    assert sum(use.weight for use in z.uses) == pytest.approx(1.0, rel=0.1)


def test_ocnopt_trains():
    model, x = Model(by_function).double(), torch.randn(32, 3, dtype=torch.float64)
    y = (x[:, 0] > 0).long()
    opt = og.OCNOpt(model)
    losses = [opt.step(x, y).loss for _ in range(5)]
    assert losses[-1] < 0.8 * losses[0]


def test_solvers_without_a_graph_are_refused():
    model = Model(lambda f, y: by_object(f, y, torchode.JointBacksolveAdjoint)).double()
    with pytest.raises(UnsupportedModuleError, match="JointBacksolveAdjoint keeps no graph"):
        GameGraph.from_module(model)
