"""Flows: densities integrate to one, traces equal dense Jacobians, samples follow densities."""

import math

import pytest
import torch
from torch import nn
from torch.func import jacrev, vmap

from ocngame.errors import InvalidInputError
from ocngame.solvers.flows import (
    ContinuousFlow,
    ExactDivergence,
    FlowField,
    FlowHessian,
    FlowLoss,
    HutchinsonDivergence,
)
from ocngame.solvers.ocnopt import OCNOpt, OCNOptConfig, Rhythm


def make_flow(*, conditions=0, divergence=None, steps=16, size=2, gain=1.6, seed=0):
    torch.manual_seed(seed)
    field = FlowField(size, (12, 10), conditions=conditions).double()
    with torch.no_grad():
        for weight in field.parameters():
            weight.mul_(gain)
    return ContinuousFlow(field, size, conditions=conditions, divergence=divergence, steps=steps)


def grid(half, count):
    axis = torch.linspace(-half, half, count, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    return points, float(axis[1] - axis[0]) ** 2


def points(count=5, size=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("conditions", [0, 2])
def test_tangents_are_columns_of_the_jacobian(conditions):
    flow = make_flow(conditions=conditions, size=3)
    field, x = flow.dynamics.field, points(size=3)
    condition = points(size=conditions, seed=2) if conditions else None
    t = torch.tensor(0.3, dtype=torch.float64)
    tangents = torch.randn(5, 4, 3, dtype=torch.float64)
    value, moved = field.with_tangents(t, x, tangents, condition)
    assert torch.allclose(value, field(t, x, condition), atol=1e-14)
    for b in range(5):
        own = None if condition is None else condition[b : b + 1]
        jacobian = jacrev(lambda z, own=own: field(t, z[None], own)[0])(x[b])
        assert torch.allclose(moved[b], tangents[b] @ jacobian.T, atol=1e-13)


def test_the_density_integrates_to_one():
    flow = make_flow()
    at, area = grid(7.0, 81)
    with torch.no_grad():
        log_density = flow.log_prob(at)
    assert float(log_density.max() - log_density.min()) > 5
    assert float(log_density.exp().sum()) * area == pytest.approx(1.0, abs=2e-6)


def test_without_the_trace_the_density_does_not_integrate_to_one():
    flow = make_flow()
    at, area = grid(7.0, 81)
    with torch.no_grad():
        z = flow(at)[:, :2]
    moved = (-0.5 * (z * z).sum(1) - math.log(2 * math.pi)).exp().sum() * area
    assert abs(float(moved) - 1) > 1e-3


def determinant_error(steps):
    flow, x = make_flow(steps=steps, size=3), points(size=3)
    jacobians = torch.stack([jacrev(lambda z: flow(z[None])[0, :3])(row) for row in x]).detach()
    with torch.no_grad():
        z = flow(x)[:, :3]
        normal = -0.5 * (z * z).sum(1) - 1.5 * math.log(2 * math.pi)
        expected = normal + torch.linalg.slogdet(jacobians).logabsdet
        return float((flow.log_prob(x) - expected).abs().max())


def test_the_log_density_is_the_change_of_variables_of_the_map():
    """The determinant is of the solver's whole map: equal to the solver's fourth order."""
    rough, fine = determinant_error(10), determinant_error(20)
    assert fine < 1e-5
    assert 8 < rough / fine < 32


def test_hutchinson_is_exact_in_expectation():
    exact, x = make_flow(size=3, steps=4), points(size=3)
    t = torch.tensor(0.6, dtype=torch.float64)
    dynamics = exact.dynamics
    state = torch.cat([x, torch.zeros(5, 3, dtype=torch.float64)], 1)
    dynamics.directions = ExactDivergence().directions(x, None)
    expected = dynamics(t, state)
    jacobians = vmap(jacrev(lambda z: dynamics.field(t, z[None])[0]))(x)
    trace = jacobians.diagonal(dim1=1, dim2=2).sum(1)
    assert torch.allclose(expected[:, 3], trace, atol=1e-13)
    assert torch.allclose(expected[:, 5], (jacobians**2).sum((1, 2)) / 3, atol=1e-13)
    # all eight sign patterns of three coordinates: the mean over them is the expectation
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3)
    found = torch.zeros_like(expected)
    for pattern in signs:
        dynamics.directions = pattern.expand(5, 1, 3)
        found += dynamics(t, state) / len(signs)
    assert torch.allclose(found, expected, atol=1e-13)
    drawn = HutchinsonDivergence(count=4).directions(x, torch.Generator().manual_seed(0))
    assert drawn.shape == (5, 4, 3)
    assert torch.equal(drawn.abs(), torch.full_like(drawn, 0.5))


def test_random_directions_follow_the_generator_alone():
    flow, x = make_flow(divergence=HutchinsonDivergence()), points()
    one, two, other = (
        flow.log_prob(x, generator=torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_the_running_costs_are_integrals_along_the_path():
    flow, x = make_flow(steps=64), points()
    end = flow(x)
    count = 400
    z, kinetic = x, torch.zeros(5, dtype=torch.float64)
    with torch.no_grad():
        for k in range(count):  # midpoint rule, written out
            t = torch.tensor(k / count, dtype=torch.float64)
            half = z + flow.dynamics.field(t, z) / (2 * count)
            value = flow.dynamics.field(t + 0.5 / count, half)
            kinetic += (value * value).sum(1) / 2 / count
            z = z + value / count
    assert torch.allclose(end[:, 3], kinetic, rtol=1e-4)
    assert torch.allclose(end[:, :2], z, atol=1e-5)


def test_hooks_see_the_whole_gradient_of_the_weights():
    """Sums of g h' over a layer's calls and positions are dL/dW, the trace's path included."""
    flow, x = make_flow(steps=3), points()
    weights = flow.dynamics.field.weights
    seen = {number: torch.zeros_like(layer.weight) for number, layer in enumerate(weights)}
    first = {number: torch.zeros_like(layer.weight) for number, layer in enumerate(weights)}

    def forward_hook(number):
        def hook(module, inputs, output):
            h = inputs[0].detach()

            def back(g):
                seen[number] += torch.einsum("bpo,bpi->oi", g, h)
                first[number] += torch.einsum("bo,bi->oi", g[:, 0], h[:, 0])

            output.register_hook(back)

        return hook

    for number, layer in enumerate(weights):
        layer.register_forward_hook(forward_hook(number))
    (-flow.log_prob(x).mean()).backward()
    for number, layer in enumerate(weights):
        assert torch.allclose(seen[number], layer.weight.grad, atol=1e-14)
        # negative control: the state's own position alone misses the path through the trace
        missed = (first[number] - layer.weight.grad).norm() / layer.weight.grad.norm()
        assert float(missed) > 0.05


def test_samples_have_the_density_they_are_drawn_from():
    flow = make_flow(gain=2.0)
    drawn = flow.sample(8_000, torch.Generator().manual_seed(0))
    at, area = grid(7.0, 81)
    with torch.no_grad():
        density = flow.log_prob(at).exp() * area
    mean = (density[:, None] * at).sum(0)
    second = (density[:, None] * at**2).sum(0)
    assert torch.allclose(drawn.mean(0), mean, atol=0.03)
    assert torch.allclose((drawn**2).mean(0), second, rtol=0.05)
    assert float((second - 1).abs().max()) > 0.2  # it is not the standard normal


def test_a_path_ends_where_a_sample_is_and_starts_normal():
    flow = make_flow()
    path = flow.path(50, torch.Generator().manual_seed(0), (1.0, 0.5, 0.0))
    start = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)).double()
    assert torch.equal(path[0], start)
    there = flow(path[2])[:, :2]
    assert torch.allclose(there, start, atol=1e-5)


def test_a_condition_changes_the_density():
    flow = make_flow(conditions=1, gain=2.0)
    at, area = grid(9.0, 91)
    masses, densities = [], []
    with torch.no_grad():
        for value in (-1.0, 1.0):
            condition = torch.full((len(at), 1), value, dtype=torch.float64)
            densities.append(flow.log_prob(at, condition).exp())
            joined = torch.cat([at[:5], condition[:5]], 1)
            assert torch.allclose(-FlowLoss()(flow(joined)), densities[-1][:5].log().mean())
            masses.append(float(densities[-1].sum()) * area)
    assert masses == pytest.approx([1.0, 1.0], abs=1e-4)
    assert float((densities[0] - densities[1]).abs().sum()) * area > 0.1


def test_the_loss_and_its_column():
    flow, x = make_flow(), points()
    end = flow(x).detach().requires_grad_()
    loss = FlowLoss(kinetic=0.1, jacobian=0.2)(end)
    k, j = end[:, 3].mean(), end[:, 4].mean()
    assert torch.allclose(loss, -flow.log_prob(x).mean() + 0.1 * k + 0.2 * j)
    (gradient,) = torch.autograd.grad(loss, end)
    column = FlowHessian(kinetic=0.1, jacobian=0.2).root(end, torch.ones(1, 5, 5).double())
    assert torch.allclose(column[0], 5 * gradient, atol=1e-14)


@pytest.mark.usefixtures("as_user")
def test_bad_input_is_named():
    flow = make_flow()
    with pytest.raises(InvalidInputError, match=r"x: expected shape \(samples, 2\), got \(3, 4\)"):
        flow.log_prob(torch.zeros(3, 4))
    with pytest.raises(
        InvalidInputError, match=r"condition: expected 0 features .* got shape \(5, 3\)"
    ):
        flow.log_prob(points(), torch.zeros(5, 3))
    with pytest.raises(InvalidInputError, match="field: expected a module with a method"):
        ContinuousFlow(nn.Linear(2, 2), 2)
    with pytest.raises(InvalidInputError, match=r"times: expected decreasing times in \[0, 1\]"):
        flow.path(3, torch.Generator(), (0.2, 0.5))
    with pytest.raises(InvalidInputError, match="count: expected an integer of at least 1, got 0"):
        HutchinsonDivergence(count=0)
    with pytest.raises(InvalidInputError, match="kinetic: expected a finite number"):
        FlowLoss(kinetic=-1.0)


def test_steps_stay_short_when_curvature_is_of_earlier_batches():
    """A batch with great gradients that curvature has not seen must not make a great step."""
    torch.manual_seed(0)
    flow = ContinuousFlow(FlowField(2, (8,)), 2, steps=4)
    x = torch.randn(64, 2) * torch.tensor([0.3, 1.0])
    rhythm = Rhythm(first=4, measure_every=1000)
    opt = OCNOpt(flow, FlowLoss(), hessian=FlowHessian(), config=OCNOptConfig(rhythm=rhythm))
    for _ in range(6):
        last = opt.step(x, torch.zeros(64))
    far = opt.step(x * 30, torch.zeros(64))
    assert not last.measured
    assert far.predicted > -2.0
    assert opt.step(x, torch.zeros(64)).loss < 1.5 * last.loss + 1.0
