r"""Tall matrices whose columns are sums of outer products.

A control of matrix shape (o, i) has, for sample b and column r, the backpropagated derivative

    z_{rb} = sum_s  left[r, b, s, :] right[b, s, :]'            (an o x i matrix)

with s running over the positions at which the control is used on one sample (one for a plain
linear layer; the sequence or the image for a shared one). For one position, `Z'Z` is the
elementwise product `(left left') * (right right')`, so no parameter-sized column is formed.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ocngame.linalg.columns import Columns
from ocngame.linalg.dense_columns import DenseColumns

__all__ = ["OuterColumns"]


@dataclass(frozen=True)
class OuterColumns(Columns):
    """Columns `z = sum_s left_s right_s'`, R for each of B samples.

    Attributes:
        left: Output-side factors, shape (R, B, S, o).
        right: Input-side factors shared by the R columns, shape (B, S, i).
    """

    left: Tensor
    right: Tensor

    @property
    def like(self) -> Tensor:
        """The output-side factors."""
        return self.left

    @property
    def count(self) -> tuple[int, int]:
        """Numbers (R, B) of columns per sample and of samples."""
        return self.left.shape[0], self.left.shape[1]

    @cached_property
    def dense(self) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """All columns as matrices, shape (R, B, o, i)."""
        return torch.einsum("rbso,bsi->rboi", self.left, self.right)

    def inner(self, matrix: Tensor) -> Tensor:
        """Give `Z' vec(matrix)`.

        Args:
            matrix: A control-shaped matrix, shape (o, i).

        Returns:
            Inner products with every column, shape (R, B).
        """
        return (self.left * (self.right @ matrix.mT)).sum((-2, -1))

    def combine(self, weights: Tensor) -> Tensor:
        """Give `Z weights`.

        Args:
            weights: One weight per column, shape (R, B).

        Returns:
            The weighted sum of the columns, shape (o, i).
        """
        weighted = (weights[..., None, None] * self.left).sum(0)
        return weighted.flatten(0, 1).mT @ self.right.flatten(0, 1)

    def squares(self) -> Tensor:
        """Sum the squared entries, without parameter-sized columns where a sample has one use.

        Returns:
            Shape (o, i).
        """
        if self.right.shape[1] == 1:
            left = self.left[..., 0, :].square().sum(0)
            return left.mT @ self.right[:, 0].square()
        return self.dense.square().sum((0, 1))

    def gram(self, other: "OuterColumns") -> Tensor:
        """Give `Z' Z_other` over the whole batch.

        Args:
            other: Columns of the same control over the same samples.

        Returns:
            Inner products of all pairs, shape (R B, R' B).
        """
        if self.right.shape[1] == 1 and other.right.shape[1] == 1:
            left = self.left[..., 0, :].flatten(0, 1) @ other.left[..., 0, :].flatten(0, 1).mT
            right = self.right[:, 0] @ other.right[:, 0].mT
            rows, columns = self.left.shape[0], other.left.shape[0]
            return left * right.repeat(rows, columns)
        return self.dense.flatten(0, 1).flatten(1) @ other.dense.flatten(0, 1).flatten(1).mT

    def sample_gram(self, other: "OuterColumns") -> Tensor:
        """Give `Z_b' Z_other,b` for every sample b alone.

        Args:
            other: Columns of the same control over the same samples.

        Returns:
            Inner products of the pairs within each sample, shape (B, R, R').
        """
        if self.right.shape[1] == 1:
            left = torch.einsum("rbo,qbo->brq", self.left[..., 0, :], other.left[..., 0, :])
            return left * (self.right[:, 0] * other.right[:, 0]).sum(-1)[:, None, None]
        return torch.einsum("rboi,qboi->brq", self.dense, other.dense)

    def scaled(self, factor: float) -> "OuterColumns":
        """Scale every column.

        Args:
            factor: The number that multiplies all columns.

        Returns:
            The scaled columns.
        """
        return OuterColumns(self.left * factor, self.right)

    def rows(self, start: int, stop: int | None = None) -> "OuterColumns":
        """Give the columns of numbers `start` to `stop`.

        Args:
            start: First number r.
            stop: The number after the last, None for all that follow.

        Returns:
            Those columns of every sample.
        """
        return OuterColumns(self.left[start:stop], self.right)

    def joined(self, other: "OuterColumns") -> "OuterColumns":
        """Append columns over the same samples.

        Args:
            other: Columns of the same control, with the same input-side factors.

        Returns:
            First these, then the others.
        """
        return OuterColumns(torch.cat([self.left, other.left]), self.right)

    def divided(self, diagonal: Tensor) -> DenseColumns:
        """Divide every column by a diagonal.

        Args:
            diagonal: Shape (o, i).

        Returns:
            The quotients, one matrix for each column.
        """
        return DenseColumns(self.dense / diagonal)

    def transformed(self, left: Tensor, right: Tensor) -> "OuterColumns":
        """Apply `z -> left z right'` to every column.

        Args:
            left: Matrix on the output side, shape (o', o).
            right: Matrix on the input side, shape (i', i).

        Returns:
            The transformed columns of shape (o', i').
        """
        return OuterColumns(self.left @ left.mT, self.right @ right.mT)
