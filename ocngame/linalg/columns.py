r"""Tall matrices whose columns are sums of outer products.

A control of matrix shape (o, i) has, for sample b and column r, the backpropagated derivative

    z_{rb} = sum_s  left[r, b, s, :] right[b, s, :]'            (an o x i matrix)

with s running over the positions at which the control is used on one sample (one for a plain
linear layer; the sequence or the image for a shared one). `Z` is the (o i) x (R B) matrix of all
columns, `r` outermost. For one position, `Z'Z` is the elementwise product
`(left left') * (right right')`, so no parameter-sized column is formed.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["OuterColumns"]


@dataclass(frozen=True)
class OuterColumns:
    """Columns `z = sum_s left_s right_s'`, R for each of B samples.

    Attributes:
        left: Output-side factors, shape (R, B, S, o).
        right: Input-side factors shared by the R columns, shape (B, S, i).
    """

    left: Tensor
    right: Tensor

    @property
    def count(self) -> tuple[int, int]:
        """Numbers (R, B) of columns per sample and of samples."""
        return self.left.shape[0], self.left.shape[1]

    @cached_property
    def dense(self) -> Tensor:
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

    def transformed(self, left: Tensor, right: Tensor) -> "OuterColumns":
        """Apply `z -> left z right'` to every column.

        Args:
            left: Matrix on the output side, shape (o', o).
            right: Matrix on the input side, shape (i', i).

        Returns:
            The transformed columns of shape (o', i').
        """
        return OuterColumns(self.left @ left.mT, self.right @ right.mT)
