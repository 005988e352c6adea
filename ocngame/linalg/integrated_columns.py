r"""Columns of a control that acts over a span of time, with the densities of their factors.

A layer of a vector field acts at every stage u of a solver, on positions s of the state each time:

    z_{rb} = sum_u sum_s  left[u][r, b, s, :] right[u][b, s, :]'        (an o x i matrix)

`left` is what reaches the layer's output at that stage, about `w_u q(t_u)` with w_u the length of
time that the stage stands for and q a density in time. The sums

    right = (1/B) sum_u w_u sum_bs x x',     left = (1/B) sum_u (1/w_u) sum_rbs g g'

are therefore integrals over time, of `x x'` and of `q q'`, that depend on the solver's step by its
error only. Stages of weight zero are in the columns, and have no density. Several stages at a time
are put together as positions of one, as far as memory allows; where they have one length of time,
it is a factor of their sums.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from ocngame.linalg.blocks import block_gram
from ocngame.linalg.columns import Columns
from ocngame.linalg.dense_columns import DenseColumns

__all__ = ["IntegratedColumns", "Use"]

_PIECE = 1 << 20
"""Numbers that the input-side factors put together may have, beyond those of one stage."""

_FEW = 4
"""Uses of one length of time that are not worth a product of their own."""


@runtime_checkable
class Positions(Protocol):
    """Orders by positions what reaches a layer, and its input."""

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (o, i) of the control."""
        ...

    def left(self, grad: Tensor) -> Tensor:
        """Bring shape (R, B, ...) to (R, B, S, o)."""
        ...

    def factors(self, x: Tensor) -> Tensor:
        """Bring shape (B, ...) to (B, S, i)."""
        ...


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a control.

    Attributes:
        left: What reached the layer's output, shape (R, B, ...).
        right: The layer's input, shape (B, ...).
        weight: The length of time that the use stands for, at least 0.
        positions: Orders both by positions; None if they are of shapes (R, B, S, o) and (B, S, i).
    """

    left: Tensor
    right: Tensor
    weight: float
    positions: Positions | None = None

    @property
    def kind(self) -> Any:
        """What uses that are put together have in common."""
        return id(self.positions), self.left.shape, self.right.shape

    @property
    def size(self) -> int:
        """Numbers of its input-side factors."""
        if self.positions is None:
            return self.right.numel()
        outputs, inputs = self.positions.shape
        return self.left[0].numel() // outputs * inputs


@dataclass(frozen=True)
class IntegratedColumns(Columns):
    """Columns summed over uses in time; factors are made when they are needed.

    Attributes:
        uses: The uses.
        dtype: The dtype of the control.
    """

    uses: Sequence[Use]
    dtype: torch.dtype

    @property
    def like(self) -> Tensor:
        """An empty tensor."""
        return self.uses[0].left.new_empty(0, dtype=self.dtype)

    @property
    def count(self) -> tuple[int, int]:
        """Numbers (R, B) of columns per sample and of samples."""
        return self.uses[0].left.shape[0], self.uses[0].left.shape[1]

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
            once, back = _scales(weights, g)
            rows = x if isinstance(once, float) else x * once.sqrt()[:, None]
            squares = block_gram(rows.flatten(0, 1), blocks[1])
            right = _added(right, squares * ((once if isinstance(once, float) else 1.0) / samples))
            rows = g if isinstance(back, float) else g * back.sqrt()[:, None]
            squares = block_gram(rows.flatten(0, 2), blocks[0])
            left = _added(left, squares * ((back if isinstance(back, float) else 1.0) / samples))
        if whole is not None:
            vars(self)["dense"] = whole
        assert left is not None  # noqa: S101 - weights of a solve are not all zero
        assert right is not None  # noqa: S101 - the same
        return left, right

    def _pieces(self) -> Iterator[tuple[Tensor, Tensor, list[float]]]:
        """Put uses together.

        Yields:
            Factors of shape (R, B, K S, o) and (B, K S, i), and the weights of their K uses.
        """
        kinds: dict[Any, list[Use]] = {}
        for use in self.uses:
            kinds.setdefault(use.kind, []).append(use)
        for alike in kinds.values():
            alike.sort(key=_weight)
            most = max(1, _PIECE // max(1, alike[0].size))
            start = 0
            for i in range(1, len(alike) + 1):
                many = i - start
                ends = i == len(alike) or many == most
                if ends or (many >= _FEW and alike[i].weight != alike[start].weight):
                    yield self._together(alike[start:i])
                    start = i

    def _together(self, alike: list[Use]) -> tuple[Tensor, Tensor, list[float]]:
        positions, count = alike[0].positions, len(alike)
        left = torch.stack([use.left for use in alike], 2)
        right = torch.stack([use.right for use in alike], 1)
        if positions is not None:
            left = positions.left(left.flatten(1, 2)).unflatten(1, (-1, count))
            right = positions.factors(right.flatten(0, 1)).unflatten(0, (-1, count))
        joined = left.flatten(2, 3).to(self.dtype), right.flatten(1, 2).to(self.dtype)
        return *joined, [use.weight for use in alike]

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
            [replace(use, left=use.left[start:stop]) for use in self.uses], self.dtype
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


def _weight(use: Use) -> float:
    return use.weight


def _scales(weights: list[float], like: Tensor) -> tuple[Any, Any]:
    """Give w and 1/w (0 where w is): numbers if all are equal, else one entry per position."""
    if weights[0] == weights[-1]:
        return weights[0], 1 / weights[0] if weights[0] > 0 else 0.0
    each = like.new_tensor(weights).repeat_interleave(like.shape[2] // len(weights))
    return each, torch.where(each > 0, 1 / each, 0.0)


def _product(left: Tensor, right: Tensor) -> Tensor:
    return left.mT @ right
