r"""Consensus optimisation (Mescheder, Nowozin & Geiger, 1705.10461).

Every player also lowers `|xi|^2 / 2`: `u <- u - lr (xi + weight J' xi)`.
"""

from typing import Any

from torch import Tensor

from ocngame._checks import non_negative
from ocngame.games import PlayerGame
from ocngame.solvers.players.baselines.base import FirstOrder

__all__ = ["Consensus"]


class Consensus(FirstOrder):
    """Gradient play with the squared gradients as a common second cost."""

    def __init__(self, game: PlayerGame, *, lr: float, weight: float = 1.0):
        """Take a game.

        Args:
            game: The game; its players' tensors are moved in place.
            lr: Step size.
            weight: Weight of the common cost.
        """
        super().__init__(game, lr=lr)
        non_negative("weight", weight)
        self.weight = weight

    def _advance(self, control: Tensor, slope: Tensor, batch: tuple[Any, ...]) -> Tensor:
        point = self._point(control, batch)
        common = point.transposed_product(slope)
        self._products += point.products
        return control - self.lr * (slope + self.weight * common)
