"""Affine feedback policies `du = k + K dx` (both signs plus)."""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["AffinePolicy"]


@dataclass(frozen=True, kw_only=True)
class AffinePolicy:
    """An affine policy `du = feedforward + feedback @ dx` of one stage, or a stack of stages.

    Attributes:
        feedforward: k, shape (..., m).
        feedback: K, shape (..., m, n).
    """

    feedforward: Tensor
    feedback: Tensor

    def __call__(self, dx: Tensor) -> Tensor:
        """Evaluate the policy.

        Args:
            dx: State deviation, shape (..., n).

        Returns:
            The control deviation du, shape (..., m).
        """
        return self.feedforward + (self.feedback @ dx.unsqueeze(-1)).squeeze(-1)
