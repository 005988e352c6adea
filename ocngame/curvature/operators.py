r"""Curvature operators: what stands for `Q_uu` of one stage, acting on matrix-shaped controls.

A control is a matrix `U` of shape (o, i); `vec` stacks its rows, so `B (x) A` with `B` on the
output side (o x o) and `A` on the input side (i x i) acts as `(B (x) A) vec(U) = vec(B U A')`.
Every operator is symmetric positive definite and has a dense twin for tests.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ocngame.linalg import Columns, DenseColumns, OuterColumns, block_multiply

__all__ = [
    "CurvatureOperator",
    "DiagonalOperator",
    "EigenOperator",
    "FullOperator",
    "IdentityOperator",
    "KroneckerOperator",
]


class CurvatureOperator(ABC):
    """A symmetric positive definite operator M on controls of shape (..., o, i)."""

    @abstractmethod
    def solve(self, control: Tensor) -> Tensor:
        """Give `M^{-1} control`, shape (..., o, i)."""

    @abstractmethod
    def matmul(self, control: Tensor) -> Tensor:
        """Give `M control`, shape (..., o, i)."""

    def inverse_gram(self, columns: Columns, per_sample: bool = False) -> Tensor:
        """Give `Z' M^{-1} Z`, for the whole batch or within each sample.

        Args:
            columns: The columns Z, R for each of B samples.
            per_sample: Restrict to pairs within one sample.

        Returns:
            Shape (R B, R B), or (B, R, R) per sample.
        """
        dense = columns.dense
        solved = self.solve(dense)
        if per_sample:
            return torch.einsum("rboi,qboi->brq", dense, solved)
        return dense.flatten(0, 1).flatten(1) @ solved.flatten(0, 1).flatten(1).mT

    def to_dense(self, shape: tuple[int, int], like: Tensor) -> Tensor:
        """Give the (o i) x (o i) matrix of the operator.

        Args:
            shape: Control shape (o, i).
            like: A tensor of the dtype and device wanted.

        Returns:
            The dense matrix.
        """
        size = shape[0] * shape[1]
        basis = torch.eye(size, dtype=like.dtype, device=like.device).reshape(size, *shape)
        return self.matmul(basis).reshape(size, size)


@dataclass(frozen=True)
class IdentityOperator(CurvatureOperator):
    """`M = scale I`.

    Attributes:
        scale: Positive number or scalar tensor.
    """

    scale: Tensor | float = 1.0

    def solve(self, control: Tensor) -> Tensor:
        """Give `control / scale`."""
        return control / self.scale

    def matmul(self, control: Tensor) -> Tensor:
        """Give `scale control`."""
        return control * self.scale

    def inverse_gram(self, columns: Columns, per_sample: bool = False) -> Tensor:
        """Give `Z' Z / scale` without parameter-sized columns."""
        gram = columns.sample_gram(columns) if per_sample else columns.gram(columns)
        return gram / self.scale


@dataclass(frozen=True)
class DiagonalOperator(CurvatureOperator):
    """`M = diag(diagonal)`.

    Attributes:
        diagonal: Positive entries, shape (o, i).
    """

    diagonal: Tensor

    def solve(self, control: Tensor) -> Tensor:
        """Divide by the diagonal."""
        return control / self.diagonal

    def matmul(self, control: Tensor) -> Tensor:
        """Multiply with the diagonal."""
        return control * self.diagonal

    def inverse_gram(self, columns: Columns, per_sample: bool = False) -> Tensor:
        """Give `Z' M^{-1} Z`; columns by rows stay as they are."""
        solved = columns.divided(self.diagonal)
        same: Any = DenseColumns(columns.dense) if isinstance(solved, DenseColumns) else columns
        return same.sample_gram(solved) if per_sample else same.gram(solved)


@dataclass(frozen=True)
class KroneckerOperator(CurvatureOperator):
    r"""`M = (B + b I) (x) (A + a I)`, each factor block-diagonal.

    Attributes:
        left: B, output side, blocks of shape (n, o / n, o / n).
        right: A, input side, blocks of shape (m, i / m, i / m).
        left_inverse: `(B + b I)^{-1}`, the same shape.
        right_inverse: `(A + a I)^{-1}`, the same shape.
        shifts: b and a, shape (2,).
    """

    left: Tensor
    right: Tensor
    left_inverse: Tensor
    right_inverse: Tensor
    shifts: Tensor

    def solve(self, control: Tensor) -> Tensor:
        """Give `(B + b I)^{-1} U (A + a I)^{-1}`."""
        return _between(self.left_inverse, control, self.right_inverse)

    def matmul(self, control: Tensor) -> Tensor:
        """Give `(B + b I) U (A + a I)`."""
        half = block_multiply(control.mT, self.left).mT + self.shifts[0] * control
        return block_multiply(half, self.right) + self.shifts[1] * half

    def inverse_gram(self, columns: Columns, per_sample: bool = False) -> Tensor:
        """Give `Z' M^{-1} Z` from the factors, without parameter-sized columns."""
        if not isinstance(columns, OuterColumns):
            return super().inverse_gram(columns, per_sample)
        solved = OuterColumns(
            block_multiply(columns.left, self.left_inverse),
            block_multiply(columns.right, self.right_inverse),
        )
        return columns.sample_gram(solved) if per_sample else columns.gram(solved)


def _between(left: Tensor, control: Tensor, right: Tensor) -> Tensor:
    """Give `left control right`."""
    if left.shape[0] == 1:
        return block_multiply(left[0] @ control, right)
    return block_multiply(block_multiply(control.mT, left).mT, right)


@dataclass(frozen=True)
class EigenOperator(CurvatureOperator):
    r"""`M = (V_B (x) V_A) diag(eigenvalues) (V_B (x) V_A)'`, an eigen-corrected Kronecker product.

    Attributes:
        left_vectors: Orthogonal V_B, shape (o, o).
        right_vectors: Orthogonal V_A, shape (i, i).
        eigenvalues: Positive, damped, shape (o, i).
    """

    left_vectors: Tensor
    right_vectors: Tensor
    eigenvalues: Tensor

    def solve(self, control: Tensor) -> Tensor:
        """Divide by the eigenvalues in the eigenbasis."""
        return self._apply(control, 1.0 / self.eigenvalues)

    def matmul(self, control: Tensor) -> Tensor:
        """Multiply with the eigenvalues in the eigenbasis."""
        return self._apply(control, self.eigenvalues)

    def _apply(self, control: Tensor, spectrum: Tensor) -> Tensor:
        rotated = self.left_vectors.mT @ control @ self.right_vectors
        return self.left_vectors @ (rotated * spectrum) @ self.right_vectors.mT


@dataclass(frozen=True)
class FullOperator(CurvatureOperator):
    """A dense matrix over the vectorised control.

    Attributes:
        matrix: Symmetric positive definite, shape (o i, o i).
    """

    matrix: Tensor

    def solve(self, control: Tensor) -> Tensor:
        """Solve with the dense matrix, in float32 at least."""
        work = self.matrix if self.matrix.dtype == torch.float64 else self.matrix.float()
        flat = control.flatten(-2).unsqueeze(-1).to(work.dtype)
        return torch.linalg.solve(work, flat).view(control.shape).to(control.dtype)

    def matmul(self, control: Tensor) -> Tensor:
        """Multiply with the dense matrix."""
        return (control.flatten(-2) @ self.matrix.mT).reshape(control.shape)
