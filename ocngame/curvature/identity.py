"""Identity curvature: the open-loop method is then gradient descent."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ocngame.curvature.base import Curvature, State
from ocngame.curvature.operators import IdentityOperator
from ocngame.linalg import OuterColumns

__all__ = ["IdentityCurvature"]


@dataclass(frozen=True, kw_only=True)
class IdentityCurvature(Curvature):
    """`M = I`, whatever the damping."""

    needs_columns: ClassVar[bool] = False

    def init(self, shape: tuple[int, int], like: Tensor) -> State:
        """Give the empty state."""
        return {}

    def update(self, state: State, columns: OuterColumns | None, gradient: Tensor) -> State:
        """Give the state unchanged."""
        return state

    def operator(self, state: State, damping: Tensor | float) -> IdentityOperator:
        """Give the identity."""
        return IdentityOperator(1.0)
