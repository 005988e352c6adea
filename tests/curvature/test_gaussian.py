"""Gaussian likelihood with a learnt variance against torch's loss and expected Hessians."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ocngame.curvature import GaussianFisher, GaussianNLL, Spread, output_hessian
from ocngame.errors import InvalidInputError, UnknownNameError
from ocngame.solvers.ocnopt import OCNOpt


def output(spread: Spread, *shape: int) -> Tensor:
    y = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mean, rest = y.chunk(2, -1)
    return torch.cat([mean, rest.exp() if spread is Spread.VARIANCE else rest], -1)


@pytest.mark.parametrize("spread", list(Spread))
@pytest.mark.parametrize("shape", [(5, 6), (3, 4, 2)])
def test_the_loss_is_torchs(spread, shape):
    y = output(spread, *shape)
    mean, rest = y.chunk(2, -1)
    target = torch.linspace(-1, 1, mean.numel(), dtype=torch.float64).view_as(mean)
    variance = rest.exp() if spread is Spread.LOG_VARIANCE else rest
    wanted = nn.GaussianNLLLoss()(mean, target, variance)
    torch.testing.assert_close(GaussianNLL(spread)(y, target), wanted)


def expected_hessian(loss: GaussianNLL, y: Tensor, order: int = 4) -> Tensor:
    """Mean Hessian over targets of the model's own, by exact quadrature entry by entry."""
    mean, variance = loss.hessian.parts(y)
    nodes, weights = np.polynomial.hermite_e.hermegauss(order)
    total = torch.zeros(y.numel(), y.numel(), dtype=y.dtype)
    # The entries' targets are independent and the loss is a sum over entries, each quadratic in
    # its own target: one node for all entries at a time gives the same mean as all combinations.
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        target = mean + float(node) * variance.sqrt()
        total += float(weight) * torch.autograd.functional.hessian(
            lambda z, t=target: loss(z[None], t), y[0]
        )
    return total


@pytest.mark.parametrize("spread", list(Spread))
def test_the_factor_is_a_root_of_the_expected_hessian(spread):
    loss, y = GaussianNLL(spread), output(spread, 1, 6)
    columns = loss.hessian.exact(y)[:, 0]
    torch.testing.assert_close(columns.T @ columns, expected_hessian(loss, y))


def test_the_fisher_matrix_is_the_covariance_of_the_models_own_gradients():
    loss, y = GaussianNLL(), output(Spread.LOG_VARIANCE, 1, 4)
    generator = torch.Generator().manual_seed(1)
    draws = torch.randn(200_000, 2, dtype=torch.float64, generator=generator)
    mean, variance = (part.detach() for part in loss.hessian.parts(y))
    many = y.expand(len(draws), -1).clone().requires_grad_()
    per_sample = 0.5 * (
        many[:, 2:] + (mean + draws * variance.sqrt() - many[:, :2]).square() / many[:, 2:].exp()
    )
    (gradients,) = torch.autograd.grad(per_sample.sum(), many)
    # Of the sum over entries; the mean over two entries halves the Fisher matrix.
    covariance = gradients.T @ gradients / len(draws)
    columns = loss.hessian.exact(y)[:, 0]
    torch.testing.assert_close(2 * columns.T @ columns, covariance, rtol=0.03, atol=0.02)


def test_the_hessian_itself_is_not_convex_where_the_mean_is_wrong():
    loss, y = GaussianNLL(), output(Spread.LOG_VARIANCE, 1, 2)
    hessian = torch.autograd.functional.hessian(lambda z: loss(z[None], y[:, :1] + 1.0), y[0])
    assert float(torch.linalg.eigvalsh(hessian)[0]) < -0.01
    columns = loss.hessian.exact(y)[:, 0]
    assert float(torch.linalg.eigvalsh(columns.T @ columns)[0]) > 0.01


def test_a_network_learns_means_and_variances():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    x = 2 * torch.rand(512, 1, generator=generator) - 1
    deviation = (x - 1.5).exp()
    y = torch.sin(3 * x) + deviation * torch.randn(512, 1, generator=generator)
    model = nn.Sequential(
        nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2)
    )
    opt = OCNOpt(model, GaussianNLL())
    infos = [opt.step(x, y) for _ in range(60)]
    assert all(info.accepted for info in infos)
    mean, variance = opt.loss.hessian.parts(model(x).detach())
    true = float(opt.loss(torch.cat([torch.sin(3 * x), 2 * deviation.log()], 1), y))
    assert infos[-1].loss < true + 0.02
    for side in (x > 0.1, x < -0.1):
        told, drawn = variance.sqrt()[side].mean(), deviation[side].mean()
        assert 0.8 * drawn < told < 1.25 * drawn
        assert (mean - torch.sin(3 * x))[side].abs().mean() < drawn


def test_a_loss_that_brings_its_hessian_is_known():
    loss = GaussianNLL("variance", eps=1e-4)
    assert output_hessian(loss) == GaussianFisher(spread=Spread.VARIANCE, eps=1e-4)


@pytest.mark.parametrize(
    ("make", "error", "named"),
    [
        (lambda: GaussianNLL("variances"), UnknownNameError, "spread: unknown name 'variances'"),
        (lambda: GaussianNLL(eps=0.0), InvalidInputError, "eps: expected"),
        (
            lambda: output_hessian(nn.GaussianNLLLoss()),
            InvalidInputError,
            r"curvature\.GaussianNLL",
        ),
        (lambda: GaussianNLL()(torch.zeros(2, 3), torch.zeros(2, 1)), InvalidInputError, "even"),
        (
            lambda: GaussianNLL()(torch.zeros(2, 4), torch.zeros(2, 1)),
            InvalidInputError,
            r"target: expected shape \(2, 2\)",
        ),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_bad_input_is_named(make, error, named):
    with pytest.raises(error, match=named):
        make()
