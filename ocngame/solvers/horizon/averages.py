"""Averages of the expansions of many batches."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ocngame.solvers.horizon.expansion import TimeExpansion

__all__ = ["Averages"]


@dataclass(frozen=True, kw_only=True)
class Averages:
    """Averages with a fading memory.

    Attributes:
        weight: What the weights of the terms add up to, at most 1.
        slope: g, shape (K,).
        curvature: M, shape (K, K).
    """

    weight: float
    slope: Tensor
    curvature: Tensor

    @classmethod
    def zero(cls, count: int) -> "Averages":
        """Start with nothing.

        Args:
            count: K.

        Returns:
            Averages of no batch.
        """
        zeros = torch.zeros(count, dtype=torch.float64)
        return cls(weight=0.0, slope=zeros, curvature=torch.diag(zeros))

    def taken_in(self, expansion: TimeExpansion, memory: float) -> "Averages":
        """Take in a batch.

        Args:
            expansion: Its expansion.
            memory: b.

        Returns:
            The new averages.
        """
        weight = memory * self.weight + (1 - memory)
        new = (1 - memory) / weight
        return Averages(
            weight=weight,
            slope=self.slope.lerp(expansion.q_t, new),
            curvature=self.curvature.lerp(expansion.q_tt, new),
        )

    def as_dict(self) -> dict[str, Any]:
        """Give plain containers of tensors and numbers."""
        return {"weight": self.weight, "slope": self.slope, "curvature": self.curvature}
