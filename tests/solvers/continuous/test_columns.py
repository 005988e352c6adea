"""Columns of a field's controls: exact against dense derivatives, whatever the solver."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, jacrev
from vector_fields import DenseField, Solved, dense_model, image_model

from ocngame import GameGraph, NeuralODE
from ocngame.curvature import CrossEntropyHessian
from ocngame.games.rollout import record_rollout
from ocngame.linalg import IntegratedColumns

torchdiffeq = pytest.importorskip("torchdiffeq")


def rolled_out(model, x):
    game = GameGraph.from_module(model)
    return record_rollout(game.program, game.control_stages, lambda: model(x), fields=game.fields)


def inputs(model):
    torch.manual_seed(5)
    shape = (3,) if next(model.parameters()).ndim == 2 else (2, 3, 3)
    return torch.randn(4, *shape, dtype=torch.float64)


def fixed(field, y):
    return torchdiffeq.odeint(
        field,
        y,
        torch.tensor([0.0, 0.4, 1.0], dtype=y.dtype),
        method="rk4",
        options={"step_size": 0.2},
    )[-1]


def adaptive(field, y):
    return torchdiffeq.odeint(
        field,
        y,
        torch.tensor([0.0, 2.0], dtype=y.dtype),
        rtol=1e-5,
        atol=1e-5,
        options={"first_step": 2.0},
    )[1]


def twice(field, y):
    t = torch.tensor([0.0, 0.5, 1.0], dtype=y.dtype)
    states = torchdiffeq.odeint(field, y, t, method="dopri5", options={"first_step": 0.05})
    return torchdiffeq.odeint(field, states[1] + states[2], t[:2], method="midpoint")[-1]


def by_name(field, y):
    return torchdiffeq.odeint(
        lambda t, x: field(t, x),
        y,
        torch.tensor([0.0, 1.0], dtype=y.dtype),
        method="bosh3",
        options={"first_step": 0.01},
    )[-1]


def all_times():
    torch.manual_seed(2)
    ode = NeuralODE(DenseField(3, 4), times=(0.0, 0.5, 1.5), steps=2, every=True)
    return nn.Sequential(ode, nn.Linear(3, 2), nn.Flatten(), nn.Linear(6, 2)).double()


MODELS = {
    "euler": lambda: dense_model(method="euler", steps=3),
    "midpoint": lambda: dense_model(method="midpoint", steps=3),
    "rk4": lambda: dense_model(times=(0.0, 0.4, 1.0), steps=2),
    "images": lambda: image_model(steps=2, method="rk4_38"),
    "all times": all_times,
    "torchdiffeq fixed": lambda: Solved(fixed, DenseField(2, 4)).double(),
    "torchdiffeq adaptive": lambda: Solved(adaptive, DenseField(2, 4)).double(),
    "torchdiffeq twice": lambda: Solved(twice, DenseField(2, 4)).double(),
    "torchdiffeq function": lambda: Solved(by_name, DenseField(2, 4)).double(),
}


@pytest.fixture(params=MODELS.values(), ids=list(MODELS))
def model(request):
    return request.param()


def test_summed_columns_of_the_gradient_are_the_gradient(model):
    x = inputs(model)
    y = torch.tensor([0, 1, 1, 0])
    rollout = rolled_out(model, x)
    loss = F.cross_entropy(rollout.output, y)
    (at_output,) = torch.autograd.grad(loss, rollout.output, retain_graph=True)
    columns = rollout.differentiate(at_output * len(x)).gradients
    loss.backward()
    for control, z in zip(rollout.controls, columns, strict=True):
        wanted = control.join([p.grad for p in control.parameters if p.grad is not None])
        torch.testing.assert_close(z.dense.mean((0, 1)), wanted, rtol=1e-13, atol=1e-15)


def test_gauss_newton_of_all_controls_is_the_dense_one(model):
    x = inputs(model)
    rollout = rolled_out(model, x)
    seeds = CrossEntropyHessian().exact(rollout.output.detach())
    z = (
        torch.cat([c.dense.flatten(0, 1).flatten(1) for c in rollout.backpropagate(seeds)], 1)
        / len(x) ** 0.5
    )
    names = {id(p): name for name, p in model.named_parameters()}

    jacobians = _jacobians(model, x)
    flat = torch.cat(
        [
            torch.cat(
                [c.join(list(row)).flatten() for c, row in zip(rollout.controls, rows, strict=True)]
            )[None]
            for rows in _rows(rollout.controls, names, jacobians)
        ]
    ).unflatten(0, rollout.output.shape)
    p = rollout.output.detach().softmax(-1)
    hessian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    wanted = torch.einsum("bcn,bcd,bdm->nm", flat, hessian, flat) / len(x)
    torch.testing.assert_close(z.mT @ z, wanted, rtol=1e-10, atol=1e-13)


def _jacobians(model, x):
    """Differentiate every output on its own: by torch.func unless the solver forbids it."""
    parameters = dict(model.named_parameters())
    if isinstance(model, nn.Sequential):
        return jacrev(lambda p: functional_call(model, p, (x,)))(parameters)
    outputs = model(x)
    rows = [
        torch.autograd.grad(y, list(parameters.values()), retain_graph=True)
        for y in outputs.flatten()
    ]
    return {
        name: torch.stack(parts).unflatten(0, outputs.shape)
        for name, parts in zip(parameters, zip(*rows, strict=True), strict=True)
    }


def _rows(controls, names, jacobians):
    """Give, for every output, the derivative in each parameter of each control."""
    first = next(iter(jacobians.values()))
    for b in range(first.shape[0]):
        for c in range(first.shape[1]):
            yield [
                [jacobians[names[id(p)]][b, c] for p in control.parameters] for control in controls
            ]


def test_recording_leaves_the_gradient_bitwise_as_it_is(model):
    x, y = inputs(model), torch.tensor([0, 1, 1, 0])
    plain = copy.deepcopy(model)
    F.cross_entropy(plain(x), y).backward()
    rollout = rolled_out(model, x)
    loss = F.cross_entropy(rollout.output, y)
    rollout.backpropagate(CrossEntropyHessian().exact(rollout.output.detach())[:1])
    loss.backward()
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_rejected_steps_are_left_out():
    model = Solved(adaptive, DenseField(2, 4)).double()
    for p in model.field.parameters():
        p.data.mul_(6.0)
    calls: list[int] = []
    accepted: list[int] = []
    rejected: list[int] = []
    x = inputs(model)
    handle = model.field.last.register_forward_hook(lambda *_: calls.append(1))
    rollout = rolled_out(model, x)
    handle.remove()
    (z,) = [
        z
        for c, z in zip(
            rollout.controls,
            rollout.backpropagate(torch.ones(1, 4, 2, dtype=torch.float64)),
            strict=True,
        )
        if c.module is model.field.last
    ]
    model.field.callback_accept_step = lambda t0, y0, dt: accepted.append(1)
    model.field.callback_reject_step = lambda t0, y0, dt: rejected.append(1)
    model(x)
    assert rejected
    assert isinstance(z, IntegratedColumns)
    assert len(z.uses) == 1 + 6 * len(accepted) < len(calls)
    assert sum(use.weight for use in z.uses) == pytest.approx(2.0, rel=0.1)


def test_intervals_and_solves_add_up():
    """One solve, one with a stop on the way, and two solves one after the other are the same."""
    whole = dense_model(times=(0.0, 1.0), steps=8)
    stopped = copy.deepcopy(whole)
    stopped[1] = NeuralODE(whole[1].field, times=(0.0, 0.25, 1.0), step=0.125)
    field = copy.deepcopy(whole[1].field)
    parted = nn.Sequential(
        copy.deepcopy(whole[0]),
        NeuralODE(field, times=(0.0, 0.5), steps=4),
        NeuralODE(field, times=(0.5, 1.0), steps=4),
        copy.deepcopy(whole[2]),
    )
    x = inputs(whole)
    found = []
    for model in (whole, stopped, parted):
        rollout = rolled_out(model, x)
        seeds = CrossEntropyHessian().exact(rollout.output.detach())
        found.append(rollout.backpropagate(seeds))
    for columns in found[1:]:
        for one, other in zip(found[0], columns, strict=True):
            torch.testing.assert_close(one.dense, other.dense)
            if isinstance(one, IntegratedColumns):
                for a, b in zip(one.densities((1, 1)), other.densities((1, 1)), strict=True):
                    torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 1), ("rk4", 4)])
def test_densities_depend_on_the_step_by_its_error_only(method, order):
    """Midpoint pairs states in a step's middle with costates at its end: order one."""
    found = []
    for steps in (64, 4, 8):
        model = dense_model(method="rk4" if steps == 64 else method, steps=steps)
        rollout = rolled_out(model, inputs(model))
        seeds = CrossEntropyHessian().exact(rollout.output.detach())
        (z,) = [
            z
            for c, z in zip(rollout.controls, rollout.backpropagate(seeds), strict=True)
            if c.module is model[1].field.last
        ]
        assert isinstance(z, IntegratedColumns)
        found.append(z.densities((1, 1)))
    for exact, coarse, fine in zip(*found, strict=True):
        ratio = (coarse - exact).norm() / (fine - exact).norm()
        assert (fine - exact).norm() < 0.1 * exact.norm()
        assert ratio > 0.75 * 2**order
