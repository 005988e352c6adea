"""Columns stored entry by entry, for controls with few entries.

Scales and offsets of normalisations have one entry per channel, and grouped convolutions have few
inputs per output: what positions contribute is summed up, and every column is kept as it is.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.linalg.columns import Columns

__all__ = ["DenseColumns"]


@dataclass(frozen=True)
class DenseColumns(Columns):
    """Columns as matrices.

    Attributes:
        values: Shape (R, B, o, i).
    """

    values: Tensor

    @property
    def like(self) -> Tensor:
        """The columns."""
        return self.values

    @property
    def count(self) -> tuple[int, int]:
        """Numbers (R, B) of columns per sample and of samples."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def dense(self) -> Tensor:
        """The columns, shape (R, B, o, i)."""
        return self.values

    def inner(self, matrix: Tensor) -> Tensor:
        """Give `Z' vec(matrix)`.

        Args:
            matrix: Shape (o, i).

        Returns:
            Shape (R, B).
        """
        return self.values.flatten(2) @ matrix.flatten()

    def combine(self, weights: Tensor) -> Tensor:
        """Give `Z weights`.

        Args:
            weights: Shape (R, B).

        Returns:
            Shape (o, i).
        """
        return torch.tensordot(weights, self.values, dims=2)

    def squares(self) -> Tensor:
        """Sum the squared entries.

        Returns:
            Shape (o, i).
        """
        return self.values.square().sum((0, 1))

    def gram(self, other: "DenseColumns") -> Tensor:
        """Give `Z' Z_other` over the whole batch.

        Args:
            other: Columns of the same control over the same samples.

        Returns:
            Shape (R B, R' B).
        """
        return self.values.flatten(0, 1).flatten(1) @ other.values.flatten(0, 1).flatten(1).mT

    def sample_gram(self, other: "DenseColumns") -> Tensor:
        """Give `Z_b' Z_other,b` for every sample b alone.

        Args:
            other: Columns of the same control over the same samples.

        Returns:
            Shape (B, R, R').
        """
        return torch.einsum("rbn,qbn->brq", self.values.flatten(2), other.values.flatten(2))

    def scaled(self, factor: float) -> "DenseColumns":
        """Multiply every column with a number.

        Args:
            factor: The number.

        Returns:
            The products.
        """
        return DenseColumns(self.values * factor)

    def rows(self, start: int, stop: int | None = None) -> "DenseColumns":
        """Give the columns of numbers `start` to `stop`.

        Args:
            start: First number r.
            stop: The number after the last, None for all that follow.

        Returns:
            Those columns of every sample.
        """
        return DenseColumns(self.values[start:stop])

    def joined(self, other: "DenseColumns") -> "DenseColumns":
        """Append columns over the same samples.

        Args:
            other: Columns of the same control.

        Returns:
            First these, then the others.
        """
        return DenseColumns(torch.cat([self.values, other.values]))

    def divided(self, diagonal: Tensor) -> "DenseColumns":
        """Divide every column by a diagonal.

        Args:
            diagonal: Shape (o, i).

        Returns:
            The quotients.
        """
        return DenseColumns(self.values / diagonal)
