r"""Symplectic gradient adjustment (Balduzzi et al., 1802.05642, section 3).

With `A = (J - J') / 2` the antisymmetric part of the Jacobian, `u <- u - lr (xi + l A' xi)` and

    l = sign( (xi . J' xi / m) (A' xi . J' xi / m) + 1/10 )

(their alignment criterion, m the number of controls): towards stable, away from unstable points.
"""

from typing import Any

from torch import Tensor

from ocngame.solvers.players.baselines.base import FirstOrder

__all__ = ["SymplecticAdjustment"]

_SLACK = 0.1


class SymplecticAdjustment(FirstOrder):
    """Gradient play turned against its own rotation."""

    def _advance(self, control: Tensor, slope: Tensor, batch: tuple[Any, ...]) -> Tensor:
        point = self._point(control, batch)
        transposed = point.transposed_product(slope)
        adjustment = 0.5 * (transposed - point.jacobian_product(slope))
        self._products += point.products
        size = len(slope)
        aligned = float(slope @ transposed) / size * float(adjustment @ transposed) / size
        sign = 1.0 if aligned + _SLACK >= 0 else -1.0
        return control - self.lr * (slope + sign * adjustment)
