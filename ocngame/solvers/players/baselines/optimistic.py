r"""Optimistic gradient (Popov, 1980; Daskalakis et al., 1711.00141).

`u <- u - 2 lr xi_t + lr xi_{t-1}`, with `xi_{-1} = xi_0`.
"""

from typing import Any

from torch import Tensor

from ocngame.games import PlayerGame
from ocngame.solvers.players.baselines.base import FirstOrder

__all__ = ["Optimistic"]


class Optimistic(FirstOrder):
    """Extragradient at one gradient a step: the last one stands for the one ahead."""

    def __init__(self, game: PlayerGame, *, lr: float):
        """Take a game.

        Args:
            game: The game; its players' tensors are moved in place.
            lr: Step size.
        """
        super().__init__(game, lr=lr)
        self._previous: Tensor | None = None

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on.

        Returns:
            The last gradients.
        """
        return {"previous": self._previous}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Args:
            state: The last gradients.
        """
        self._previous = state["previous"]

    def _advance(self, control: Tensor, slope: Tensor, batch: tuple[Any, ...]) -> Tensor:
        previous = slope if self._previous is None else self._previous
        self._previous = slope
        return control - self.lr * (2 * slope - previous)
