"""Block-diagonal factors against dense matrices."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ocngame.linalg import block_gram, block_multiply, block_number


def dense(blocks: torch.Tensor, size: int) -> torch.Tensor:
    return torch.block_diag(*blocks)[:size, :size]


@given(size=st.integers(1, 12), blocks=st.integers(1, 4), seed=st.integers(0, 50))
def test_blocks_are_the_dense_matrix_near_its_diagonal(size, blocks, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(7, size, generator=generator, dtype=torch.float64)
    gram = block_gram(x, blocks)
    whole, width = x.T @ x, gram.shape[-1]
    place = torch.arange(size) // width
    expected = torch.where(place[:, None] == place, whole, 0.0)
    torch.testing.assert_close(dense(gram, size), expected)
    rows = torch.randn(2, 3, size, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(block_multiply(rows, gram), rows @ expected)


@pytest.mark.parametrize(
    ("size", "other", "number"),
    [(64, 10, 1), (128, 1, 1), (129, 1, 2), (785, 64, 7), (785, 784, 1), (10_000, 256, 20)],
)
def test_a_side_is_cut_where_it_is_wide_in_itself_and_against_the_other(size, other, number):
    assert block_number(size, other) == number
