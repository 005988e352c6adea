"""Products and solutions for many small matrices, against one matrix at a time."""

import pytest
import torch

from ocngame.linalg import left_product, pivoted_solve, right_product, with_transpose


def normal(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 3)])
@pytest.mark.parametrize("side_by_side", [False, True])
def test_products_are_those_of_each_player(batch, side_by_side):
    one, left, right = normal(*batch, 5, 4), normal(*batch, 3, 5, 6), normal(*batch, 3, 6, 5)
    if side_by_side:
        left, right = (
            many.transpose(-3, -2).contiguous().transpose(-3, -2) for many in (left, right)
        )
    for i in range(3):
        torch.testing.assert_close(
            left_product(one, left)[..., i, :, :], one.mT @ left[..., i, :, :]
        )
        torch.testing.assert_close(
            right_product(right, one)[..., i, :, :], right[..., i, :, :] @ one
        )


@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 3)])
def test_sum_with_transpose_is_exact_and_has_a_gradient(batch):
    many = normal(*batch, 3, 5, 5).requires_grad_()
    total = with_transpose(many)
    assert torch.equal(total, many + many.mT)
    assert torch.equal(total, total.mT)
    weights = normal(*total.shape)
    (gradient,) = torch.autograd.grad((weights * total).sum(), many)
    torch.testing.assert_close(gradient, weights + weights.mT)


@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 3)])
@pytest.mark.parametrize("size", [1, 6, 7, 8, 9])
@pytest.mark.parametrize("columns", [1, 8, 9, 17])
def test_solutions_solve_and_pivots_are_those_of_lu(batch, size, columns):
    system, right = normal(*batch, size, size), normal(*batch, size, columns)
    solution, pivots = pivoted_solve(system, right)
    torch.testing.assert_close(system @ solution, right, rtol=1e-9, atol=1e-9)
    upper = torch.linalg.lu(system).U.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(pivots, upper)


def test_a_singular_system_spoils_nothing_but_itself():
    system = torch.stack([torch.eye(6), torch.ones(6, 6), 2 * torch.eye(6)]).double()
    solution, pivots = pivoted_solve(system, normal(3, 6, 13))
    assert not torch.isfinite(solution[1]).all()
    assert torch.isfinite(solution[[0, 2]]).all()
    assert pivots[1].abs().min() == 0
