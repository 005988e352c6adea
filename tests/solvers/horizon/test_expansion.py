"""Derivatives in the times against finite differences, torch.func and the continuous flow."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian, jacrev
from vector_fields import PlainField

from ocngame import NeuralODE
from ocngame.errors import InvalidInputError, NonFiniteError
from ocngame.games.continuous import LearnedTimes, TimeBounds, TimeCost
from ocngame.solvers.horizon import ExactTimes, GaussNewtonTimes

KINDS = [ExactTimes(), GaussNewtonTimes()]
ONE = {"times": (0.0, 1.1), "steps": 3}
SEVERAL = {"times": (0.2, 0.7, 1.3), "steps": 2}
BACKWARD = {"times": (1.0, 0.6, 0.0), "step": 0.25, "method": "heun"}
BLOCKS = [ONE, SEVERAL, BACKWARD]


def network(every=False, **block):
    torch.manual_seed(0)
    ode = NeuralODE(PlainField(3, 5), learn_times=True, every=every, **block)
    size = 3 * len(ode.times) if every else 3
    return nn.Sequential(nn.Linear(4, 3), ode, nn.Flatten(), nn.Linear(size, 3)).double()


def batch():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(6, 4, dtype=torch.float64, generator=generator)
    return x, torch.tensor([0, 1, 2, 0, 1, 2])


LOSS = nn.CrossEntropyLoss()
PRICE = TimeCost(per_time=0.2, per_evaluation=0.003)


def total_loss(model, times):
    with torch.no_grad():
        return float(LOSS(model(batch()[0]), batch()[1])) + times.cost(PRICE)[0]


def by_differences(model, times, of, eps=1e-4):
    """Central differences of a function of the times, one after another."""
    start, found = times.read(), []
    for k in range(len(start)):
        sides = []
        for sign in (1, -1):
            moved = start.clone()
            moved[k] += sign * eps
            times.write(moved)
            sides.append(of())
        found.append((sides[0] - sides[1]) / (2 * eps))
    times.write(start)
    return found


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("block", BLOCKS)
def test_exact_derivatives_equal_finite_differences(block, every):
    model = network(every, **block)
    times = LearnedTimes(model, TimeBounds())
    found = ExactTimes().expand(times, LOSS, *batch(), PRICE)
    assert found.loss == pytest.approx(total_loss(model, times), rel=1e-12)
    slopes = by_differences(model, times, lambda: total_loss(model, times))
    torch.testing.assert_close(found.q_t.tolist(), slopes, rtol=1e-6, atol=1e-9)

    def slope():
        return ExactTimes().expand(times, LOSS, *batch(), PRICE).q_t

    rows = torch.stack(by_differences(model, times, slope))
    torch.testing.assert_close(found.q_tt, rows, rtol=1e-5, atol=1e-8)
    assert found.q_tt.abs().max() > 1e-3

    def control_gradient(name):
        model.zero_grad()
        LOSS(model(batch()[0]), batch()[1]).backward()
        return model.get_parameter(name).grad.clone()

    assert set(found.q_tu) == {n for n, _ in model.named_parameters()} - {"1.ends"}
    for name, across in found.q_tu.items():
        rows = torch.stack(by_differences(model, times, lambda: control_gradient(name)))  # noqa: B023
        torch.testing.assert_close(across, rows, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_every_curvature_has_the_same_slope(kind):
    times = LearnedTimes(network(**SEVERAL), TimeBounds())
    exact = ExactTimes().expand(times, LOSS, *batch(), PRICE)
    found = kind.expand(times, LOSS, *batch(), PRICE)
    assert found.loss == pytest.approx(exact.loss)
    torch.testing.assert_close(found.q_t, exact.q_t)


@pytest.mark.parametrize("block", BLOCKS)
def test_gauss_newton_equals_the_dense_matrix_of_torch_func(block):
    model = network(**block)
    x, y = batch()
    times = LearnedTimes(model, TimeBounds())
    found = GaussNewtonTimes().expand(times, LOSS, x, y, TimeCost())
    values = {n: p.detach() for n, p in model.named_parameters()}
    output = model(x).detach()
    jacobian = jacrev(lambda v: functional_call(model, v, (x,)))(values)
    curvature = hessian(lambda o: LOSS(o, y))(output).reshape(output.numel(), -1)

    def flat(name):
        return jacobian[name].reshape(output.numel(), -1)

    ends = flat("1.ends")
    torch.testing.assert_close(found.q_tt, ends.T @ curvature @ ends)
    for name, across in found.q_tu.items():
        expected = ends.T @ curvature @ flat(name)
        torch.testing.assert_close(across.flatten(1), expected)


def test_gauss_newton_is_exact_where_nothing_is_left_to_fit():
    model = network(**SEVERAL)
    times, x = LearnedTimes(model, TimeBounds()), batch()[0]
    target = model(x).detach()
    both = [kind.expand(times, nn.MSELoss(), x, target, TimeCost()) for kind in KINDS]
    torch.testing.assert_close(both[0].q_tt, both[1].q_tt)
    for name in both[0].q_tu:
        torch.testing.assert_close(both[0].q_tu[name], both[1].q_tu[name])
    far = [kind.expand(times, nn.MSELoss(), x, target + 1, TimeCost()) for kind in KINDS]
    assert (far[0].q_tt - far[1].q_tt).abs().max() > 0.05 * far[0].q_tt.abs().max()


def test_the_slope_becomes_that_of_the_continuous_flow():
    """`Q_T = phi_x' F(T, x_T)`, with an error of the method's order."""
    x, y = batch()
    errors = []
    for steps in (4, 8):
        model = network(times=(0.0, 1.1), steps=steps, method="heun")
        times = LearnedTimes(model, TimeBounds())
        found = ExactTimes().expand(times, LOSS, x, y, TimeCost()).q_t
        fine = network(times=(0.0, 1.1), steps=200)
        end = fine[:2](x).detach().requires_grad_()
        (adjoint,) = torch.autograd.grad(LOSS(fine[2:](end), y), end)
        speed = fine[1].field(torch.tensor(1.1, dtype=torch.float64), end)
        errors.append(float((found - (adjoint * speed).sum().detach()).abs()))
    assert errors[1] < 0.3 * errors[0] < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_expanding_leaves_no_trace(kind):
    torch.manual_seed(0)
    ode = NeuralODE(PlainField(3, 5), learn_times=True)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), ode)
    x, y = torch.randn(6, 4), batch()[1]
    LOSS(model(x), y).backward()
    kept = {n: p.grad.clone() for n, p in model.named_parameters()}
    state = {n: v.clone() for n, v in model.state_dict().items()}
    random = torch.get_rng_state()
    kind.expand(LearnedTimes(model, TimeBounds()), LOSS, x, y, PRICE)
    assert torch.equal(random, torch.get_rng_state())
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter.grad, kept[name])
        assert parameter.requires_grad
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])


def test_frozen_parameters_are_no_controls():
    model = network(**ONE)
    model[0].requires_grad_(False)
    found = ExactTimes().expand(LearnedTimes(model, TimeBounds()), LOSS, *batch(), PRICE)
    assert not any(name.startswith("0.") for name in found.q_tu)


@pytest.mark.parametrize("kind", KINDS)
def test_bad_numbers_and_outputs_are_refused(kind):
    model = network(**ONE)
    times = LearnedTimes(model, TimeBounds())
    x, y = batch()
    with pytest.raises(NonFiniteError, match="times"):
        kind.expand(times, LOSS, x * float("inf"), y, PRICE)

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return self.inner(x), x

    with pytest.raises(InvalidInputError, match="tensor as output"):
        kind.expand(LearnedTimes(Pair(), TimeBounds()), LOSS, x, y, PRICE)
