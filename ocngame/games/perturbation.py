r"""Perturbations of a network's input as a control: one per sample, in a ball.

The ball is `|d|_inf <= radius` or `|d|_2 <= radius`, and where the input has bounds (pixels), also
`low <= x + d <= high`.
"""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from ocngame._checks import one_of, positive
from ocngame.errors import InvalidInputError

__all__ = ["Norm", "PerturbationBall"]


class Norm(StrEnum):
    """Norm of a sample's perturbation.

    Attributes:
        LINF: Largest entry.
        L2: Root of the sum of squares.
    """

    LINF = "linf"
    L2 = "l2"


@dataclass(frozen=True, kw_only=True)
class PerturbationBall:
    """The perturbations that an adversary may choose from.

    Attributes:
        radius: Radius of the ball.
        norm: linf or l2.
        low: Least allowed input, None if there is none.
        high: Largest allowed input, None if there is none.
    """

    radius: float
    norm: Norm | str = Norm.LINF
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("radius", self.radius)
        one_of("norm", self.norm, Norm)
        object.__setattr__(self, "norm", Norm(self.norm))
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise InvalidInputError(f"low: expected less than high={self.high!r}, got {self.low!r}")

    def project(self, perturbation: Tensor, x: Tensor) -> Tensor:
        """Bring perturbations into the ball, then inputs into their bounds.

        Args:
            perturbation: Shape (B, ...).
            x: Inputs, shape (B, ...).

        Returns:
            Allowed perturbations; within the bounds of the input, so the ball of an l2 norm may
            hold a nearer point.
        """
        if self.norm is Norm.LINF:
            perturbation = perturbation.clamp(-self.radius, self.radius)
        else:
            size = _norms(perturbation)
            perturbation = perturbation * (self.radius / size.clamp_min(self.radius))
        if self.low is None and self.high is None:
            return perturbation
        return (x + perturbation).clamp(self.low, self.high) - x

    def steepest(self, slope: Tensor) -> Tensor:
        """Give the point of the ball farthest along a slope, bounds of the input aside.

        Args:
            slope: Shape (B, ...).

        Returns:
            The maximiser of `slope . d`; zero where the slope is.
        """
        if self.norm is Norm.LINF:
            return self.radius * slope.sign()
        tiny = torch.finfo(slope.dtype).tiny
        return self.radius * slope / _norms(slope).clamp_min(tiny)

    def random(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draw allowed perturbations: uniform in the cube, or of uniform length and direction.

        Args:
            x: Inputs, shape (B, ...).
            generator: Draws them, on the CPU.

        Returns:
            Shape (B, ...).
        """
        if self.norm is Norm.LINF:
            drawn = 2 * torch.rand(x.shape, generator=generator).to(x) - 1
            return self.project(self.radius * drawn, x)
        direction = torch.randn(x.shape, generator=generator).to(x)
        length = torch.rand(len(x), generator=generator).to(x)
        unit = direction / _norms(direction)
        return self.project(self.radius * length.view(-1, *[1] * (x.ndim - 1)) * unit, x)


def _norms(perturbation: Tensor) -> Tensor:
    """Give each sample's l2 norm with dimensions kept."""
    flat = perturbation.flatten(1).norm(dim=1)
    return flat.view(-1, *[1] * (perturbation.ndim - 1))
