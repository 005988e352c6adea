"""What the first-order methods share: a game, a step size, and one report."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from ocngame._checks import positive
from ocngame.games import GamePoint, PlayerGame, own_gradients
from ocngame.solvers.players.info import PlayerStepInfo

__all__ = ["FirstOrder"]


class FirstOrder(ABC):
    """A method that moves every player along a direction made of gradients.

    Attributes:
        game: The game.
        lr: Step size.
    """

    def __init__(self, game: PlayerGame, *, lr: float):
        """Take a game.

        Args:
            game: The game; its players' tensors are moved in place.
            lr: Step size.

        Raises:
            InvalidInputError: if the step size is not above 0.
        """
        positive("lr", lr)
        self.game, self.lr = game, lr
        self._evaluations = 0
        self._products = 0

    def step(self, *batch: Any) -> PlayerStepInfo:
        """Make one step.

        Args:
            *batch: Passed on to the costs.

        Returns:
            What happened. A step with non-finite numbers is refused: the players stay where they
            are, and so does what the method remembers.
        """
        self._evaluations = self._products = 0
        before, remembered = self.game.control, self.state_dict()
        costs, slope = self._gradient(before, batch)
        after = self._advance(before, slope, batch)
        accepted = bool(torch.isfinite(after).all() & torch.isfinite(costs).all())
        if accepted:
            self.game.assign(after)
        else:
            self.load_state_dict(remembered)
        return PlayerStepInfo(
            costs=tuple(costs.tolist()),
            residuals=tuple(float(slope[block].norm()) for block in self.game.control_slices),
            accepted=accepted,
            length=self.lr,
            evaluations=self._evaluations,
            products=self._products,
            reason="" if accepted else "costs or moves are not finite",
        )

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on.

        Returns:
            Plain data and tensors.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave; a method without memory has nothing to take.

        Args:
            state: Plain data and tensors.
        """
        del state

    @abstractmethod
    def _advance(self, control: Tensor, slope: Tensor, batch: tuple[Any, ...]) -> Tensor:
        """Give the next joint control from the present one and its own gradients xi."""

    def _gradient(self, control: Tensor, batch: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
        """Give costs and own gradients at a joint control."""
        self._evaluations += 1
        return own_gradients(self.game, self.game.split(control), batch)

    def _point(self, control: Tensor, batch: tuple[Any, ...]) -> GamePoint:
        """Give a point with its graph, for products."""
        self._evaluations += 1
        return GamePoint(self.game, self.game.split(control), batch)
