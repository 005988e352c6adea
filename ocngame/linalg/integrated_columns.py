r"""Columns of a control that acts over a span of time, with the densities of their factors.

A layer of a vector field acts at every stage u of a solver, on positions s of the state each time:

    z_{rb} = sum_u sum_s  left[u][r, b, s, :] right[u][b, s, :]'        (an o x i matrix)

`left` is what reaches the layer's output at that stage, about `w_u q(t_u)` with w_u the length of
time that the stage stands for and q a density in time. The sums

    right = (1/B) sum_u w_u sum_bs x x',     left = (1/B) sum_u (1/w_u) sum_rbs g g'

are therefore integrals over time, of `x x'` and of `q q'`, that depend on the solver's step by its
error only. Stages of weight zero are in the columns, and have no density.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ocngame.linalg.blocks import block_gram
from ocngame.linalg.columns import Columns
from ocngame.linalg.dense_columns import DenseColumns

__all__ = ["IntegratedColumns", "Use"]


@dataclass(frozen=True)
class Use:
    """One use of a control.

    Attributes:
        left: Output-side factors, shape (R, B, S, o).
        right: Gives the input-side factors, shape (B, S, i).
        weight: The length of time that the use stands for, at least 0.
    """

    left: Tensor
    right: Callable[[], Tensor]
    weight: float


@dataclass(frozen=True)
class IntegratedColumns(Columns):
    """Columns summed over uses in time; factors of one use are made when they are needed.

    Attributes:
        uses: The uses.
    """

    uses: Sequence[Use]

    @property
    def like(self) -> Tensor:
        """The output-side factors of the first use."""
        return self.uses[0].left

    @property
    def count(self) -> tuple[int, int]:
        """Numbers (R, B) of columns per sample and of samples."""
        return self.like.shape[0], self.like.shape[1]

    @cached_property
    def dense(self) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """All columns as matrices, shape (R, B, o, i)."""
        whole = _product(self.uses[0].left, self.uses[0].right())
        for use in self.uses[1:]:
            whole.add_(_product(use.left, use.right()))
        return whole

    def densities(self, blocks: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Give the time integrals of the factors, as far as block-diagonal ones keep them.

        The columns are added up in the same pass.

        Args:
            blocks: Numbers of blocks (n, m) of the left and of the right factor.

        Returns:
            Shapes (n, o/n, o/n) and (m, i/m, i/m).
        """
        samples = self.count[1]
        left: Tensor | None = None
        right: Tensor | None = None
        whole: Tensor | None = None
        for use in self.uses:
            x = use.right()
            if "dense" not in self.__dict__:
                product = _product(use.left, x)
                whole = product if whole is None else whole.add_(product)
            if use.weight == 0:
                continue
            a = block_gram(x.flatten(0, 1), blocks[1]) * (use.weight / samples)
            b = block_gram(use.left.flatten(0, 2), blocks[0]) / (use.weight * samples)
            left = b if left is None else left + b
            right = a if right is None else right + a
        if whole is not None:
            vars(self)["dense"] = whole
        assert left is not None  # noqa: S101 - weights of a solve are not all zero
        assert right is not None  # noqa: S101 - the same
        return left, right

    @property
    def whole(self) -> DenseColumns:
        """The columns entry by entry."""
        return DenseColumns(self.dense)

    def inner(self, matrix: Tensor) -> Tensor:
        """Give `Z' vec(matrix)`, shape (R, B), of a matrix (o, i)."""
        return self.whole.inner(matrix)

    def combine(self, weights: Tensor) -> Tensor:
        """Give `Z weights`, shape (o, i), for weights of shape (R, B)."""
        return self.whole.combine(weights)

    def squares(self) -> Tensor:
        """Give the diagonal of `Z Z'`, shape (o, i)."""
        return self.whole.squares()

    def gram(self, other: Columns) -> Tensor:
        """Give `Z' Z_other` over the whole batch, shape (R B, R' B)."""
        return self.whole.gram(DenseColumns(other.dense))

    def sample_gram(self, other: Columns) -> Tensor:
        """Give `Z_b' Z_other,b` for every sample b alone, shape (B, R, R')."""
        return self.whole.sample_gram(DenseColumns(other.dense))

    def scaled(self, factor: float) -> DenseColumns:
        """Multiply every column with a number.

        Args:
            factor: The number.

        Returns:
            The products, without densities.
        """
        return self.whole.scaled(factor)

    def rows(self, start: int, stop: int | None = None) -> "IntegratedColumns":
        """Give the columns of numbers `start` to `stop`.

        Args:
            start: First number r.
            stop: The number after the last, None for all that follow.

        Returns:
            Those columns of every sample.
        """
        return IntegratedColumns(
            [Use(use.left[start:stop], use.right, use.weight) for use in self.uses]
        )

    def joined(self, other: Columns) -> DenseColumns:
        """Append columns over the same samples.

        Args:
            other: Columns of the same control.

        Returns:
            First these, then the others, without densities.
        """
        return self.whole.joined(DenseColumns(other.dense))

    def divided(self, diagonal: Tensor) -> DenseColumns:
        """Divide every column by a diagonal of shape (o, i)."""
        return self.whole.divided(diagonal)


def _product(left: Tensor, right: Tensor) -> Tensor:
    return torch.einsum("rbso,bsi->rboi", left, right)
