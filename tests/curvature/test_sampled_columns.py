"""Columns from targets of the model's own: their mean outer product is the output's curvature."""

import pytest
import torch
from torch import nn

from ocngame.curvature import (
    BinaryCrossEntropyHessian,
    CrossEntropyHessian,
    GaussianFisher,
    LossHessian,
    PoissonHessian,
    SampledColumns,
    Spread,
    SquaredErrorHessian,
)
from ocngame.errors import InvalidInputError
from ocngame.solvers.ocnopt import OCNOpt, OCNOptConfig


@pytest.mark.parametrize(
    ("hessian", "shape"),
    [
        (CrossEntropyHessian(), (1, 4)),
        (CrossEntropyHessian(), (1, 2, 3)),
        (CrossEntropyHessian(dim=1), (1, 3, 2)),
        (SquaredErrorHessian(), (1, 4)),
        (SquaredErrorHessian(scale=3.0), (1, 4)),
        (BinaryCrossEntropyHessian(), (1, 4)),
        (PoissonHessian(), (1, 3)),
        (GaussianFisher(), (1, 4)),
        (GaussianFisher(spread=Spread.VARIANCE), (1, 4)),
    ],
)
def test_their_mean_outer_product_is_the_curvature(hessian, shape):
    generator = torch.Generator().manual_seed(0)
    y = 0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)
    y = y.exp() if hessian == GaussianFisher(spread=Spread.VARIANCE) else y
    count = 200_000
    drawn = SampledColumns(count).columns(hessian, y, None, generator)
    assert drawn.shape == (count, *shape)
    flat, exact = drawn.flatten(1), hessian.exact(y).flatten(1)
    wanted = exact.T @ exact
    torch.testing.assert_close(flat.T @ flat, wanted, rtol=0.03, atol=0.01 * float(wanted.max()))


def test_the_optimizer_learns_and_resumes_with_them():
    torch.manual_seed(0)
    x = torch.randn(64, 5)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    config = OCNOptConfig(columns=SampledColumns(2))

    def network():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3))

    whole, split = network(), network()
    first, second = OCNOpt(whole, config=config), OCNOpt(split, config=config)
    losses = [first.step(x, y).loss for _ in range(24)]
    assert losses[-1] < 0.3 * losses[0]
    for _ in range(10):
        second.step(x, y)
    third = OCNOpt(split, config=config, seed=5)
    third.load_state_dict(second.state_dict())
    for _ in range(14):
        third.step(x, y)
    for one, two in zip(whole.parameters(), split.parameters(), strict=True):
        assert torch.equal(one, two)


def test_losses_that_are_no_likelihood_are_refused():
    with pytest.raises(InvalidInputError, match=r"columns: .* likelihood .* got LossHessian"):
        SampledColumns().columns(LossHessian(), torch.zeros(2, 3), None, torch.Generator())
    with pytest.raises(InvalidInputError, match="count"):
        SampledColumns(0)
