"""Identity curvature, as it is (gradient descent) or scaled by the damping."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ocngame.curvature.base import Curvature, State
from ocngame.curvature.operators import IdentityOperator
from ocngame.linalg import Columns

__all__ = ["DampingMetric", "IdentityCurvature"]


@dataclass(frozen=True, kw_only=True)
class IdentityCurvature(Curvature):
    """`M = I`, whatever the damping: the open-loop method is then gradient descent."""

    needs_columns: ClassVar[bool] = False

    def init(self, shape: tuple[int, int], like: Tensor) -> State:
        """Give the empty state."""
        return {}

    def update(self, state: State, columns: Columns | None, gradient: Tensor) -> State:
        """Give the state unchanged."""
        return state

    def operator(self, state: State, damping: Tensor | float) -> IdentityOperator:
        """Give the identity."""
        return IdentityOperator(1.0)


@dataclass(frozen=True, kw_only=True)
class DampingMetric(Curvature):
    """`M = lambda I`: the metric of the exact recursion, where the batch's columns are the rest."""

    needs_columns: ClassVar[bool] = False

    def init(self, shape: tuple[int, int], like: Tensor) -> State:
        """Give the empty state."""
        return {}

    def update(self, state: State, columns: Columns | None, gradient: Tensor) -> State:
        """Give the state unchanged."""
        return state

    def operator(self, state: State, damping: Tensor | float) -> IdentityOperator:
        """Give lambda times the identity."""
        return IdentityOperator(damping)
