r"""The nonsmooth pieces that rewards are written in, exact or made smooth.

| piece | exact | smooth, with width w |
|---|---|---|
| length of (a, b) | sqrt(a^2 + b^2) | sqrt(a^2 + b^2 + w^2) - w |
| least of d_1..d_n | min | -w log sum_k exp(-d_k / w) |
| whether d < r | 1 or 0 | 1 / (1 + exp((d - r) / w)) |
| max(0, d) | that | w log(1 + exp(d / w)) |
| least of d and a bound b | min | b - w log(1 + exp((b - d) / w)) |

A planner that needs second derivatives writes w; as w goes to 0 each becomes the exact one (the
first two within w and w log n of it, everywhere).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ocngame._checks import positive

__all__ = ["Exact", "Shapes", "Smooth"]

_TINY = 1e-30
"""Least squared length of the exact one: its derivative at coincidence is 0 rather than NaN."""


class Shapes(ABC):
    """How the pieces are computed."""

    @abstractmethod
    def length(self, a: Tensor, b: Tensor) -> Tensor:
        """Give the length of vectors in the plane.

        Args:
            a: First components.
            b: Second components.

        Returns:
            The lengths.
        """

    @abstractmethod
    def least(self, d: Tensor, dim: int) -> Tensor:
        """Give the least entry.

        Args:
            d: Numbers.
            dim: Along which axis.

        Returns:
            It, without that axis.
        """

    @abstractmethod
    def below(self, d: Tensor, limit: Tensor | float) -> Tensor:
        """Say where numbers are below a limit.

        Args:
            d: Numbers.
            limit: The limit.

        Returns:
            Ones and zeros, or what is between.
        """

    @abstractmethod
    def ramp(self, d: Tensor) -> Tensor:
        """Give the positive part.

        Args:
            d: Numbers.

        Returns:
            It.
        """

    @abstractmethod
    def cap(self, d: Tensor, limit: float) -> Tensor:
        """Give numbers that are at most a limit.

        Args:
            d: Numbers.
            limit: The limit.

        Returns:
            The lesser of the two.
        """


class Exact(Shapes):
    """As the world's rules say."""

    def length(self, a: Tensor, b: Tensor) -> Tensor:
        """Give lengths; see `Shapes.length`."""
        return (a * a + b * b).clamp_min(_TINY).sqrt()

    def least(self, d: Tensor, dim: int) -> Tensor:
        """Give the least entry; see `Shapes.least`."""
        return d.amin(dim)

    def below(self, d: Tensor, limit: Tensor | float) -> Tensor:
        """Say where numbers are below a limit; see `Shapes.below`."""
        return (d < limit).to(d.dtype)

    def ramp(self, d: Tensor) -> Tensor:
        """Give the positive part; see `Shapes.ramp`."""
        return d.clamp_min(0)

    def cap(self, d: Tensor, limit: float) -> Tensor:
        """Give numbers that are at most a limit; see `Shapes.cap`."""
        return d.clamp_max(limit)


@dataclass(frozen=True)
class Smooth(Shapes):
    """Differentiable any number of times.

    Attributes:
        width: w, in the units of what is compared.
    """

    width: float

    def __post_init__(self) -> None:
        """Check the width."""
        positive("width", self.width)

    def length(self, a: Tensor, b: Tensor) -> Tensor:
        """Give lengths; see `Shapes.length`."""
        return (a * a + b * b + self.width**2).sqrt() - self.width

    def least(self, d: Tensor, dim: int) -> Tensor:
        """Give the least entry; see `Shapes.least`."""
        return -self.width * torch.logsumexp(d / -self.width, dim)

    def below(self, d: Tensor, limit: Tensor | float) -> Tensor:
        """Say where numbers are below a limit; see `Shapes.below`."""
        return torch.sigmoid((limit - d) / self.width)

    def ramp(self, d: Tensor) -> Tensor:
        """Give the positive part; see `Shapes.ramp`."""
        return self.width * softplus(d / self.width)

    def cap(self, d: Tensor, limit: float) -> Tensor:
        """Give numbers that are at most a limit; see `Shapes.cap`."""
        return limit - self.width * softplus((limit - d) / self.width)
