r"""Columns that touch few rows of a table.

An embedding looks up row `k(b, s)` of its table (V, d) at position s of sample b, so

    z_rb = sum_s  e_{k(b, s)} left[r, b, s, :]'                 (V x d, all rows zero but a few)

Nothing of the size of the table is formed per column: inner products compare the rows of two
positions, `Z'Z = sum_{s, s'} [k(b, s) = k(b', s')] left left'`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.linalg.columns import Columns

__all__ = ["RowColumns"]


@dataclass(frozen=True)
class RowColumns(Columns):
    """Columns by rows.

    Attributes:
        left: What reaches each position, shape (R, B, S, d).
        index: Row of the table at each position, shape (B, S).
        height: Number V of rows of the table.
    """

    left: Tensor
    index: Tensor
    height: int

    @property
    def like(self) -> Tensor:
        """What reaches the positions."""
        return self.left

    @property
    def count(self) -> tuple[int, int]:
        """Numbers (R, B) of columns per sample and of samples."""
        return self.left.shape[0], self.left.shape[1]

    @property
    def dense(self) -> Tensor:
        """All columns, shape (R, B, V, d): a table for every column, for tests of small tables."""
        R, B, _, d = self.left.shape
        index = self.index[None, :, :, None].expand_as(self.left)
        return self.left.new_zeros(R, B, self.height, d).scatter_add_(2, index, self.left)

    def inner(self, matrix: Tensor) -> Tensor:
        """Give `Z' vec(matrix)`.

        Args:
            matrix: Shape (V, d).

        Returns:
            Shape (R, B).
        """
        return (self.left * matrix[self.index]).sum((-2, -1))

    def combine(self, weights: Tensor) -> Tensor:
        """Give `Z weights`.

        Args:
            weights: Shape (R, B).

        Returns:
            Shape (V, d).
        """
        weighted = (weights[..., None, None] * self.left).sum(0).flatten(0, 1)
        total = weighted.new_zeros(self.height, weighted.shape[-1])
        return total.index_add_(0, self.index.flatten(), weighted)

    def squares(self) -> Tensor:
        """Sum the squared entries.

        Returns:
            Shape (V, d).
        """
        samples = torch.arange(self.index.shape[0], device=self.index.device)
        keys = (samples[:, None] * self.height + self.index).flatten()
        pairs, place = keys.unique(return_inverse=True)
        rows = self.left.new_zeros(self.left.shape[0], len(pairs), self.left.shape[-1])
        rows.index_add_(1, place, self.left.flatten(1, 2))
        total = self.left.new_zeros(self.height, self.left.shape[-1])
        return total.index_add_(0, pairs % self.height, rows.square().sum(0))

    def gram(self, other: "RowColumns") -> Tensor:
        """Give `Z' Z_other` over the whole batch.

        Args:
            other: Columns of the same control over the same samples.

        Returns:
            Shape (R B, R' B).
        """
        B, S = self.index.shape
        same = (self.index.flatten()[:, None] == other.index.flatten()).view(B, S, B, -1)
        pairs = torch.einsum("rbsd,qctd->rbsqct", self.left, other.left)
        return (pairs * same[:, :, None]).sum((2, 5)).flatten(2, 3).flatten(0, 1)

    def sample_gram(self, other: "RowColumns") -> Tensor:
        """Give `Z_b' Z_other,b` for every sample b alone.

        Args:
            other: Columns of the same control over the same samples.

        Returns:
            Shape (B, R, R').
        """
        same = (self.index[:, :, None] == other.index[:, None, :]).to(self.left)
        reached = torch.einsum("bst,qbtd->qbsd", same, other.left)
        return torch.einsum("rbsd,qbsd->brq", self.left, reached)

    def scaled(self, factor: float) -> "RowColumns":
        """Multiply every column with a number.

        Args:
            factor: The number.

        Returns:
            The products.
        """
        return RowColumns(self.left * factor, self.index, self.height)

    def rows(self, start: int, stop: int | None = None) -> "RowColumns":
        """Give the columns of numbers `start` to `stop`.

        Args:
            start: First number r.
            stop: The number after the last, None for all that follow.

        Returns:
            Those columns of every sample.
        """
        return RowColumns(self.left[start:stop], self.index, self.height)

    def joined(self, other: "RowColumns") -> "RowColumns":
        """Append columns over the same samples.

        Args:
            other: Columns of the same control at the same positions.

        Returns:
            First these, then the others.
        """
        return RowColumns(torch.cat([self.left, other.left]), self.index, self.height)

    def divided(self, diagonal: Tensor) -> "RowColumns":
        """Divide every column by a diagonal.

        Args:
            diagonal: Shape (V, d).

        Returns:
            The quotients.
        """
        return RowColumns(self.left / diagonal[self.index], self.index, self.height)
