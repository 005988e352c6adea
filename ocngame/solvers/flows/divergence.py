r"""The divergence of a field from tangents: exact or by random directions.

With `v_k` the unit vectors, `tr F_x = sum_k v_k' F_x v_k`, at d tangents per sample. With
Rademacher directions e (Hutchinson), `E[e' F_x e] = tr F_x` and `E |F_x e|^2 = |F_x|_F^2`, at R
tangents whatever d is. The directions of a solve are drawn before it and held, so that the
right-hand side stays a smooth function of time (arXiv 1810.01367, section 3.1).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.fx
from torch import Tensor

from ocngame._checks import integer

__all__ = ["Divergence", "ExactDivergence", "HutchinsonDivergence"]


@dataclass(frozen=True, kw_only=True)
class Divergence(ABC):
    """Which tangents are pushed through a field."""

    @abstractmethod
    def directions(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Give the tangents of a solve.

        Args:
            x: States, shape (B, d).
            generator: Source of random directions.

        Returns:
            Shape (B, R, d), scaled such that `sum_r e_r' F_x e_r` stands for the trace.
        """


@dataclass(frozen=True, kw_only=True)
class ExactDivergence(Divergence):
    """All unit vectors."""

    def directions(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Give the unit vectors, shape (B, d, d)."""
        del generator
        return torch.diag_embed(torch.ones_like(x))


@dataclass(frozen=True, kw_only=True)
class HutchinsonDivergence(Divergence):
    """Random directions.

    Attributes:
        count: R, directions per sample.
    """

    count: int = 1

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("count", self.count, low=1)

    def directions(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Give Rademacher directions over `sqrt(R)`, shape (B, R, d)."""
        return _rademacher(x, self.count, generator) / self.count**0.5


def _rademacher(x: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    shape = (len(x), count, x.shape[-1])
    return torch.randint(0, 2, shape, generator=generator).to(x) * 2 - 1


torch.fx.wrap("_rademacher")  # a tracer of the game does not know the number of samples
