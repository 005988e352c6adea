"""Hessians measured on the loss, against torch's and against the formulas."""

import pytest
import torch
from torch import Tensor, nn

from ocngame.curvature import LossHessian, output_hessian
from ocngame.errors import InvalidInputError
from ocngame.solvers.ocnopt import OCNOpt


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def measured(loss, y: Tensor) -> Tensor:
    y = y.clone().requires_grad_()
    bound = LossHessian().of_batch(loss(y), y)
    columns = bound.exact(y).view(-1, len(y), y[0].numel())
    return torch.einsum("rbi,rbj->bij", columns, columns)


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(weight=torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)),
        nn.CrossEntropyLoss(label_smoothing=0.1, ignore_index=1),
    ],
)
def test_weighted_classes_have_the_hessian_of_each_sample(loss):
    y, target = normal(5, 3), torch.tensor([0, 1, 2, 0, 2])
    whole = torch.autograd.functional.hessian(lambda z: loss(z, target), y)
    own = torch.stack([5 * whole[b, :, b] for b in range(5)])
    torch.testing.assert_close(measured(lambda z: loss(z, target), y), own)


@pytest.mark.parametrize(
    ("loss", "shape"),
    [(nn.CrossEntropyLoss(), (4, 3)), (nn.MSELoss(), (4, 2, 3)), (nn.BCEWithLogitsLoss(), (4,))],
)
def test_it_is_the_formula_where_there_is_one(loss, shape):
    y = normal(*shape)
    target = torch.arange(4) % 3 if isinstance(loss, nn.CrossEntropyLoss) else normal(*shape) ** 2
    columns = output_hessian(loss).exact(y).view(-1, 4, y[0].numel())
    wanted = torch.einsum("rbi,rbj->bij", columns, columns)
    torch.testing.assert_close(measured(lambda z: loss(z, target), y), wanted)


@pytest.mark.parametrize(
    "loss",
    [
        nn.HuberLoss(),
        nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0)),
        nn.PoissonNLLLoss(log_input=False),
    ],
)
def test_a_network_learns_with_a_measured_hessian(loss):
    torch.manual_seed(0)
    x = torch.randn(128, 4)
    y = (x[:, :1] * x[:, 1:2] > 0).float()
    last = nn.Softplus() if isinstance(loss, nn.PoissonNLLLoss) else nn.Identity()
    model = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1), last)
    opt = OCNOpt(model, loss, hessian=LossHessian())
    infos = [opt.step(x, y) for _ in range(40)]
    assert all(info.accepted and info.predicted < 0 for info in infos)
    baseline = min(float(loss(torch.full_like(y, c), y)) for c in torch.linspace(0.05, 1, 20))
    assert infos[-1].loss < baseline - 0.02


def saturating(output: Tensor, target: Tensor) -> Tensor:
    return (1 - torch.exp(-(output[:, 0] - 3 * target).square())).mean()


@pytest.mark.parametrize(
    ("loss", "named"),
    [
        (saturating, "loss: expected one that is convex in the output, got the curvature -"),
        (lambda y, t: y.abs().mean(), "loss: expected one with curvature"),
        (lambda y, t: y.mean(), "loss: expected one with curvature"),
    ],
)
def test_losses_without_a_convex_hessian_are_refused(loss, named):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3))
    start = [p.clone() for p in model.parameters()]
    x, y = torch.randn(16, 4), torch.arange(16) % 3
    opt = OCNOpt(model, hessian=LossHessian())
    with pytest.raises(InvalidInputError, match=named):
        opt.step(lambda: loss(model(x), y))
    assert all(torch.equal(a, b) for a, b in zip(start, model.parameters(), strict=True))


def test_too_many_outputs_and_an_unmeasured_batch_are_refused():
    y = normal(2, 5).requires_grad_()
    with pytest.raises(InvalidInputError, match=r"at most 4 outputs per sample .* got 5"):
        LossHessian(widest=4).of_batch(y.square().mean(), y)
    with pytest.raises(InvalidInputError, match="hessian: expected a measured batch"):
        LossHessian().exact(normal(2, 5))
    with pytest.raises(InvalidInputError, match="widest"):
        LossHessian(widest=0)
