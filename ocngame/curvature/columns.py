"""Which columns stand for the output Hessian: all of them, a random sketch, or the gradient."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ocngame._checks import integer
from ocngame.curvature.output_hessian import OutputHessian

__all__ = ["ColumnRule", "ExactColumns", "GradientColumn", "SketchedColumns"]


class ColumnRule(ABC):
    """Chooses per-sample output columns `E` with `phi_yy ~ E E'`.

    Attributes:
        needs_gradient: Whether the columns are made from the loss gradient.
    """

    needs_gradient: ClassVar[bool] = False

    @property
    def every(self) -> int:
        """Of how many samples one is measured."""
        return 1

    @abstractmethod
    def columns(
        self,
        hessian: OutputHessian,
        output: Tensor,
        gradient: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Give the columns.

        Args:
            hessian: Output Hessian of the loss.
            output: Network output, shape (B, C).
            gradient: Per-sample loss gradient at the output, shape (B, C); None if not needed.
            generator: Source of random signs.

        Returns:
            Shape (R, B, C).
        """


@dataclass(frozen=True)
class ExactColumns(ColumnRule):
    """All C columns of the exact factor."""

    def columns(
        self,
        hessian: OutputHessian,
        output: Tensor,
        gradient: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Give the exact columns, R = C."""
        return hessian.exact(output)


@dataclass(frozen=True)
class SketchedColumns(ColumnRule):
    """R Rademacher combinations of the exact columns.

    Attributes:
        count: R, at least one.
        one_in: Of how many samples of a batch one is measured; at least one sample is.
    """

    count: int = 1
    one_in: int = 1

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("count", self.count, low=1)
        integer("one_in", self.one_in, low=1)

    @property
    def every(self) -> int:
        """Of how many samples one is measured."""
        return self.one_in

    def columns(
        self,
        hessian: OutputHessian,
        output: Tensor,
        gradient: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Give the sketched columns."""
        return hessian.sketch(output, self.count, generator)


@dataclass(frozen=True)
class GradientColumn(ColumnRule):
    """The loss gradient as the only column: the rank-one start of differential DP networks."""

    needs_gradient: ClassVar[bool] = True

    def columns(
        self,
        hessian: OutputHessian,
        output: Tensor,
        gradient: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Give the gradient, R = 1."""
        assert gradient is not None  # noqa: S101 - guaranteed by needs_gradient
        return gradient.unsqueeze(0)
