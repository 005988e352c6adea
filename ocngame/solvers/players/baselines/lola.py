r"""Learning with opponent-learning awareness (Foerster et al., 1709.04326, equation 4.4).

Player i descends its cost after the others' gradient step, to first order in the step `ahead`:

    du^i = -lr d/du^i [ f^i - ahead sum_{j != i} (d f^i / du^j) . (d f^j / du^j) ]

where both factors are differentiated. The derivative of `(d f^i/du^j) . (d f^j/du^j)` by u^i is
`d^2 f^i / du^i du^j . xi^j + d^2 f^j / du^i du^j . (d f^i / du^j)`.
"""

from typing import Any

import torch
from torch import Tensor

from ocngame._checks import positive
from ocngame.games import PlayerGame
from ocngame.solvers.players.baselines.base import FirstOrder

__all__ = ["LOLA"]


class LOLA(FirstOrder):
    """Gradient play that shapes the others' next step."""

    def __init__(self, game: PlayerGame, *, lr: float, ahead: float = 1.0):
        """Take a game.

        Args:
            game: The game; its players' tensors are moved in place.
            lr: Step size.
            ahead: Step size of the others as a player sees it.
        """
        super().__init__(game, lr=lr)
        positive("ahead", ahead)
        self.ahead = ahead

    def _advance(self, control: Tensor, slope: Tensor, batch: tuple[Any, ...]) -> Tensor:
        point = self._point(control, batch)
        blocks = self.game.control_slices
        direction = slope.clone()
        for i, own in enumerate(blocks):
            others = slope.clone()
            others[own] = 0
            shaping = point.hessian_product(i, others, rows=i)
            for j, block in enumerate(blocks):
                if j != i:
                    seen = point.gradients[i, block]
                    shaping = shaping + point.hessian_product(j, seen, rows=i, columns=j)
            direction[own] -= self.ahead * shaping
        self._products += point.products
        return torch.sub(control, direction, alpha=self.lr)
