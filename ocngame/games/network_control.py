r"""Controls of network stages: a layer's parameters as one matrix, and its columns.

A control collects the trained parameters of a layer in a matrix of shape (o, i). Which these are is
read once: a control made before a layer is frozen or unfrozen must be made anew. Of every use the
layer sees, a control keeps what the derivative needs of the input (`factors`); from what a column
gives back at the layer's output, `g = (dy/dh)' e`, it makes the control's columns (`columns`).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, nn

from ocngame.linalg import Columns

__all__ = ["NetworkControl"]


@dataclass(frozen=True)
class NetworkControl(ABC):
    """The control of a network stage.

    Attributes:
        stage: The stage's module path.
        module: The layer that holds the parameters.
    """

    stage: str
    module: nn.Module

    @property
    @abstractmethod
    def factored(self) -> bool:
        """Whether the columns are sums of outer products."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Control shape (o, i)."""

    @cached_property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters behind the control."""
        return [p for p in self.module.parameters(recurse=False) if p.requires_grad]

    @property
    def names(self) -> list[str]:
        """The names of `parameters` within the layer."""
        return [n for n, p in self.module.named_parameters(recurse=False) if p.requires_grad]

    @abstractmethod
    def split(self, control: Tensor) -> list[Tensor]:
        """Split a control matrix (o, i) into the shapes of `parameters`."""

    @abstractmethod
    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Join tensors of the shapes of `parameters` into one control matrix (o, i)."""

    @abstractmethod
    def factors(self, x: Tensor) -> Tensor:
        """Give what the columns need of one use's input, shape (B, S, ...) with S positions."""

    @abstractmethod
    def left(self, grad: Tensor) -> Tensor:
        """Order what columns give back at the output, shape (R, B, ...), by S positions.

        Returns:
            Shape (R, B, S, ...), fit for the factors of the same use.
        """

    @abstractmethod
    def columns(self, left: Tensor, factors: Tensor) -> Columns:
        """Give the control's columns.

        Args:
            left: From `left`, the positions of all uses one after the other.
            factors: From `factors`, likewise.
        """
