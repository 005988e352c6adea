r"""Adam for players: simultaneous, extrapolated and optimistic.

With `a(g)` Adam's update for gradient g (Kingma & Ba, 1412.6980, algorithm 1):

* simultaneous: `u <- u - lr a(xi(u))`;
* extrapolated (Gidel et al., 1802.10551, algorithm 4): `v = u - lr a(xi(u))`, then
  `u <- u - lr a(xi(v))`, both with the running averages going on;
* optimistic (Daskalakis et al., 1711.00141, algorithm 1): `u <- u - 2 lr a_t + lr a_{t-1}`.
"""

from typing import Any

import torch
from torch import Tensor

from ocngame._checks import in_range
from ocngame.games import PlayerGame
from ocngame.solvers.players.baselines.base import FirstOrder

__all__ = ["ExtraAdam", "OptimisticAdam", "SimultaneousAdam"]


class SimultaneousAdam(FirstOrder):
    """All players make a step of Adam at once.

    Attributes:
        betas: Memories of the averages of gradients and of their squares.
        epsilon: Added to the root of the second average.
    """

    def __init__(
        self,
        game: PlayerGame,
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.5, 0.9),
        epsilon: float = 1e-8,
    ):
        """Take a game.

        Args:
            game: The game; its players' tensors are moved in place.
            lr: Step size.
            betas: Memories, each in [0, 1).
            epsilon: Added to the root of the second average.
        """
        super().__init__(game, lr=lr)
        for beta in betas:
            in_range("betas", beta, low=0.0, high=1.0, high_open=True)
        self.betas, self.epsilon = betas, epsilon
        zero = torch.zeros_like(game.control)
        self._state = {"mean": zero, "square": zero, "last": zero}
        self._count = 0

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on.

        Returns:
            Plain data and tensors.
        """
        return {**super().state_dict(), **self._state, "count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Args:
            state: Plain data and tensors.
        """
        self._state = {name: state[name] for name in self._state}
        self._count = state["count"]

    def _advance(self, control: Tensor, slope: Tensor, batch: tuple[Any, ...]) -> Tensor:
        return control - self.lr * self._update(slope)

    def _update(self, slope: Tensor) -> Tensor:
        """Take a gradient into the averages and give the update."""
        first, second = self.betas
        self._count += 1
        mean = first * self._state["mean"] + (1 - first) * slope
        square = second * self._state["square"] + (1 - second) * slope**2
        self._state |= {"mean": mean, "square": square}
        root = (square / (1 - second**self._count)).sqrt() + self.epsilon
        return mean / (1 - first**self._count) / root


class ExtraAdam(SimultaneousAdam):
    """Adam along the gradients found one step ahead."""

    def _advance(self, control: Tensor, slope: Tensor, batch: tuple[Any, ...]) -> Tensor:
        _, ahead = self._gradient(control - self.lr * self._update(slope), batch)
        return control - self.lr * self._update(ahead)


class OptimisticAdam(SimultaneousAdam):
    """Adam with the last update taken back once and the new one made twice."""

    def _advance(self, control: Tensor, slope: Tensor, batch: tuple[Any, ...]) -> Tensor:
        update = self._update(slope)
        last = self._state["last"] if self._count > 1 else update
        self._state["last"] = update
        return control - self.lr * (2 * update - last)
