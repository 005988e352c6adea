"""Which columns stand for the output Hessian: all, a sketch, sampled targets, the gradient."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ocngame._checks import integer
from ocngame.curvature.output_hessian import OutputHessian

__all__ = ["ColumnRule", "ExactColumns", "GradientColumn", "SampledColumns", "SketchedColumns"]


class ColumnRule(ABC):
    """Chooses per-sample output columns `E` with `phi_yy ~ E E'`.

    Attributes:
        needs_gradient: Whether the columns are made from the loss gradient.
    """

    needs_gradient: ClassVar[bool] = False

    def every(self, samples: int) -> int:
        """Say of how many samples of a batch one is measured."""
        del samples
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
        one_in: Of how many samples of a batch one is measured, as far as `least` remain.
        least: Samples of a batch, if it has so many, that are measured at least.
    """

    count: int = 1
    one_in: int = 1
    least: int = 32

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("count", self.count, low=1)
        integer("one_in", self.one_in, low=1)
        integer("least", self.least, low=1)

    def every(self, samples: int) -> int:
        """Say of how many samples of a batch one is measured."""
        return max(1, min(self.one_in, samples // self.least))

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
class SampledColumns(ColumnRule):
    """R gradients at targets drawn from the model itself, for losses that are likelihoods.

    Their outer products have the Fisher matrix as expectation, as those of sketched columns have;
    entries vary more, because a rare label has a large gradient.

    Attributes:
        count: R, at least one.
    """

    count: int = 1

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("count", self.count, low=1)

    def columns(
        self,
        hessian: OutputHessian,
        output: Tensor,
        gradient: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Give the gradients."""
        return hessian.sampled(output, self.count, generator)


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
