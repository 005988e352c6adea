r"""What the columns of a control offer, however they are stored.

A control of matrix shape (o, i) has, for sample b and column r of the output, a backpropagated
derivative `z_rb`, an o x i matrix. `Z` is the (o i) x (R B) matrix of all of them, `r` outermost.
How `z_rb` is stored depends on the layer: as factors where it is a sum of outer products, entry by
entry where a control acts on single entries, by rows where a sample touches few rows.
"""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

__all__ = ["Columns"]


class Columns(ABC):
    """Columns of one control, R for each of B samples."""

    @property
    @abstractmethod
    def like(self) -> Tensor:
        """A tensor of the dtype and device of the columns."""

    @property
    @abstractmethod
    def count(self) -> tuple[int, int]:
        """Numbers (R, B) of columns per sample and of samples."""

    @property
    @abstractmethod
    def dense(self) -> Tensor:
        """All columns as matrices, shape (R, B, o, i): parameter-sized for every column."""

    @abstractmethod
    def inner(self, matrix: Tensor) -> Tensor:
        """Give `Z' vec(matrix)`, shape (R, B), of a control-shaped matrix (o, i)."""

    @abstractmethod
    def combine(self, weights: Tensor) -> Tensor:
        """Give `Z weights`, shape (o, i), for one weight per column, shape (R, B)."""

    @abstractmethod
    def squares(self) -> Tensor:
        """Give the diagonal of `Z Z'`, shape (o, i)."""

    @abstractmethod
    def gram(self, other: Any) -> Tensor:
        """Give `Z' Z_other` over the whole batch, shape (R B, R' B)."""

    @abstractmethod
    def sample_gram(self, other: Any) -> Tensor:
        """Give `Z_b' Z_other,b` for every sample b alone, shape (B, R, R')."""

    @abstractmethod
    def scaled(self, factor: float) -> "Columns":
        """Multiply every column with a number."""

    @abstractmethod
    def rows(self, start: int, stop: int | None = None) -> "Columns":
        """Give the columns of numbers r from `start` to `stop`."""

    @abstractmethod
    def joined(self, other: Any) -> "Columns":
        """Append columns r of the same control over the same samples."""

    @abstractmethod
    def divided(self, diagonal: Tensor) -> "Columns":
        """Divide every column by a diagonal of shape (o, i)."""
