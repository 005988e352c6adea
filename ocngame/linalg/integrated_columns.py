r"""Columns of a control that acts over a span of time, with the densities of their factors.

A layer of a vector field acts at every stage u of a solver, on positions s of the state each time:

    z_{rb} = sum_u sum_s  left[u][r, b, s, :] right[u][b, s, :]'        (an o x i matrix)

`left` is what reaches the layer's output at that stage, about `w_u q(t_u)` with w_u the length of
time that the stage stands for and q a density in time. The sums

    right = (1/B) sum_u w_u sum_bs x x',     left = (1/B) sum_u (1/w_u) sum_rbs g g'

are therefore integrals over time, of `x x'` and of `q q'`, that depend on the solver's step by its
error only. Stages of weight zero are in the columns, and have no density. Several stages at a time
are put together as positions of one, as far as memory allows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ocngame.linalg.blocks import block_gram
from ocngame.linalg.columns import Columns
from ocngame.linalg.dense_columns import DenseColumns

__all__ = ["IntegratedColumns", "Use"]

_PIECE = 1 << 20
"""Numbers that the input-side factors put together may have, beyond those of one stage."""


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
        whole: Tensor | None = None
        for left, right, _ in self._pieces():
            whole = _added(whole, _product(left, right))
        assert whole is not None  # noqa: S101 - there is a use
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
        for g, x, weights in self._pieces():
            if "dense" not in self.__dict__:
                whole = _added(whole, _product(g, x))
            root = weights.sqrt()
            inverse = torch.where(root > 0, 1 / root, 0.0)
            rows = (x * root[:, None]).flatten(0, 1)
            right = _added(right, block_gram(rows, blocks[1]) / samples)
            rows = (g * inverse[:, None]).flatten(0, 2)
            left = _added(left, block_gram(rows, blocks[0]) / samples)
        if whole is not None:
            vars(self)["dense"] = whole
        assert left is not None  # noqa: S101 - weights of a solve are not all zero
        assert right is not None  # noqa: S101 - the same
        return left, right

    def _pieces(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Put uses together.

        Yields:
            Factors of shape (R, B, K, o) and (B, K, i), and the weights of their K positions.
        """
        lefts: list[Tensor] = []
        rights: list[Tensor] = []
        weights: list[Tensor] = []
        size = 0
        for i, use in enumerate(self.uses):
            right = use.right()
            lefts.append(use.left)
            rights.append(right)
            weights.append(right.new_full((right.shape[1],), use.weight))
            size += right.numel()
            if i + 1 == len(self.uses) or size + right.numel() > _PIECE:
                yield _joined(lefts, 2), _joined(rights, 1), _joined(weights, 0)
                lefts, rights, weights, size = [], [], [], 0

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


def _added(total: Tensor | None, term: Tensor) -> Tensor:
    return term if total is None else total.add_(term)


def _joined(parts: list[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _product(left: Tensor, right: Tensor) -> Tensor:
    return left.mT @ right
