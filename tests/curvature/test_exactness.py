"""Curvature rules against dense Gauss-Newton blocks, where exact and where not."""

import pytest
import torch
from torch import Tensor, nn

from ocngame.curvature import (
    BinaryCrossEntropyHessian,
    CrossEntropyHessian,
    DiagonalCurvature,
    EigenKroneckerCurvature,
    FullCurvature,
    KroneckerCurvature,
    OutputHessian,
    PoissonHessian,
    SquaredErrorHessian,
    output_hessian,
)
from ocngame.errors import InvalidInputError
from ocngame.games import GameGraph
from ocngame.games.rollout import Rollout, record_rollout
from ocngame.linalg import OuterColumns


def rolled(model: nn.Module, x: Tensor) -> Rollout:
    return record_rollout(model, GameGraph.from_module(model).control_stages, lambda: model(x))


def dense_block(model: nn.Module, layer: nn.Linear, x: Tensor, loss) -> Tensor:
    """The Gauss-Newton block `mean_b J_b' phi_yy J_b` of one layer by autograd, per sample."""
    names = {id(p): n for n, p in model.named_parameters()}
    own = {
        names[id(layer.weight)]: layer.weight.detach(),
        names[id(layer.bias)]: layer.bias.detach(),
    }
    weight, bias = list(own)
    total = 0
    for sample in x:

        def output(u: Tensor, sample: Tensor = sample) -> Tensor:
            u = u.reshape(layer.out_features, -1)
            return torch.func.functional_call(
                model, {weight: u[:, :-1], bias: u[:, -1]}, (sample.unsqueeze(0),)
            )[0]

        u0 = torch.cat([own[weight], own[bias].unsqueeze(1)], 1).flatten()
        jacobian = torch.autograd.functional.jacobian(output, u0)
        hessian = torch.autograd.functional.hessian(loss, output(u0))
        total = total + jacobian.T @ hessian @ jacobian
    return total / len(x)


def columns_of(model: nn.Module, x: Tensor, hessian: OutputHessian) -> list[OuterColumns]:
    rollout = rolled(model, x)
    return rollout.backpropagate(hessian.exact(rollout.output))


def estimated(rule, columns: OuterColumns, shape: tuple[int, int], damping: float) -> Tensor:
    like = columns.left
    state = rule.update(rule.init(shape, like), columns, like.new_zeros(shape))
    return rule.operator(rule.refresh(state, damping), damping).to_dense(shape, like)


def cross_entropy(y: Tensor) -> Tensor:
    return torch.logsumexp(y, 0) - y[0]


def mean_squared_error(y: Tensor) -> Tensor:
    return y.square().mean()


@pytest.fixture
def tanh_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()


@pytest.fixture
def linear_net() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3), nn.Linear(3, 2)).double()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize("index", [0, 2])
def test_full_is_the_dense_block(tanh_net, x, index):
    layer = tanh_net[index]
    columns = columns_of(tanh_net, x, CrossEntropyHessian())[index // 2]
    shape = (layer.out_features, layer.in_features + 1)
    block = dense_block(tanh_net, layer, x, cross_entropy)
    full = estimated(FullCurvature(), columns, shape, 0.0)
    torch.testing.assert_close(full, block, rtol=0, atol=1e-12)
    diagonal = estimated(DiagonalCurvature(), columns, shape, 0.0)
    torch.testing.assert_close(diagonal, block.diagonal().diag(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_kronecker_is_exact_for_deep_linear_networks(linear_net, x, index):
    layer = linear_net[index]
    columns = columns_of(linear_net, x, SquaredErrorHessian())[index]
    shape = (layer.out_features, layer.in_features + 1)
    block = dense_block(linear_net, layer, x, mean_squared_error)
    kronecker = estimated(KroneckerCurvature(), columns, shape, 0.0)
    torch.testing.assert_close(kronecker, block, rtol=0, atol=1e-12)
    eigen = estimated(EigenKroneckerCurvature(), columns, shape, 0.0)
    torch.testing.assert_close(eigen, block, rtol=0, atol=1e-11)


@pytest.mark.parametrize("index", [0, 2])
def test_kronecker_is_exact_for_one_sample_only(tanh_net, x, index):
    layer = tanh_net[index]
    shape = (layer.out_features, layer.in_features + 1)
    gaps = []
    for batch in (x[:1], x):
        columns = columns_of(tanh_net, batch, CrossEntropyHessian())[index // 2]
        block = dense_block(tanh_net, layer, batch, cross_entropy)
        kronecker = estimated(KroneckerCurvature(), columns, shape, 0.0)
        gaps.append(float((kronecker - block).norm() / block.norm()))
    assert gaps[0] < 1e-12
    assert gaps[1] > 1e-2


def test_eigen_correction_is_nearer_to_the_block(tanh_net, x):
    columns = columns_of(tanh_net, x, CrossEntropyHessian())[0]
    block = dense_block(tanh_net, tanh_net[0], x, cross_entropy)
    like = columns.left

    def gap(rule) -> float:
        state = rule.init((4, 4), like)
        for _ in range(3):
            state = rule.update(state, columns, like.new_zeros(4, 4))
            state = rule.refresh(state, 0.0)
        state = rule.update(state, columns, like.new_zeros(4, 4))
        return float((rule.operator(state, 0.0).to_dense((4, 4), like) - block).norm())

    assert gap(EigenKroneckerCurvature(decay=0.0)) < gap(KroneckerCurvature(decay=0.0))


def test_sketched_columns_have_the_hessian_as_expectation():
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(1, 4, generator=generator, dtype=torch.float64)
    hessian = CrossEntropyHessian()
    exact = hessian.exact(y)[:, 0]
    sketch = hessian.sketch(y, 40_000, generator)[:, 0]
    torch.testing.assert_close(sketch.T @ sketch, exact.T @ exact, rtol=0, atol=5e-3)


COUNTS = torch.tensor([0.0, 1.0, 0.0, 2.0, 1.0], dtype=torch.float64)


@pytest.mark.parametrize(
    ("hessian", "loss"),
    [
        (CrossEntropyHessian(), cross_entropy),
        (SquaredErrorHessian(), mean_squared_error),
        (
            BinaryCrossEntropyHessian(),
            lambda y: nn.functional.binary_cross_entropy_with_logits(y, COUNTS.clamp(max=1)),
        ),
        (PoissonHessian(), lambda y: nn.functional.poisson_nll_loss(y, COUNTS)),
    ],
)
def test_output_factor_is_a_root_of_the_hessian(hessian, loss):
    y = torch.randn(1, 5, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    columns = hessian.exact(y)[:, 0]
    expected = torch.autograd.functional.hessian(loss, y[0])
    torch.testing.assert_close(columns.T @ columns, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("loss", "shape"),
    [
        (nn.CrossEntropyLoss(), (2, 3, 4)),
        (nn.CrossEntropyLoss(), (2, 3, 2, 2)),
        (nn.MSELoss(), (2, 3, 2)),
        (nn.BCEWithLogitsLoss(), (2, 3, 2)),
        (nn.PoissonNLLLoss(), (2, 3, 2)),
    ],
)
def test_the_factor_of_outputs_with_positions_is_that_of_torchs_loss(loss, shape):
    """Classes are dimension 1, and the mean goes over positions as well."""
    y = torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    classes = isinstance(loss, nn.CrossEntropyLoss)
    target = y.argmin(1) if classes else (y > 0).double()
    columns = output_hessian(loss).exact(y)[:, 0].flatten(1)
    expected = torch.autograd.functional.hessian(lambda z: loss(z[None], target[:1]), y[0])
    torch.testing.assert_close(columns.T @ columns, expected.view(len(columns), -1))


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (nn.BCEWithLogitsLoss(), BinaryCrossEntropyHessian),
        (nn.PoissonNLLLoss(), PoissonHessian),
        (nn.MSELoss(), SquaredErrorHessian),
    ],
)
def test_a_loss_is_known_by_its_module(loss, kind):
    assert isinstance(output_hessian(loss), kind)


@pytest.mark.parametrize(
    "loss",
    [
        nn.BCEWithLogitsLoss(pos_weight=torch.ones(2)),
        nn.PoissonNLLLoss(log_input=False),
        nn.HuberLoss(),
    ],
)
def test_a_loss_with_another_curvature_is_refused(loss):
    with pytest.raises(InvalidInputError, match="pass hessian= for others"):
        output_hessian(loss)
