"""What a ready differentiable game comes with: a start, and where it is known to end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ocngame.games.players import PlayerGame

__all__ = ["ReadyPlayers", "from_control"]


@dataclass(frozen=True, kw_only=True)
class ReadyPlayers:
    """A differentiable game with its standard start.

    Attributes:
        name: The game's name.
        game: The game, its players at the start.
        equilibrium: A joint control that is known to be an equilibrium, shape (m,), or None.
        measures: Numbers to report of a game, by name: functions of no argument.
        batch: Draws the batch of a step, from its size and a generator; None: the costs take none.
        samples: Gives what a generator makes now, for pictures: points of shape (S, 2) or images of
            shape (S, height, width).
        data: Samples to compare them with, of the same kind.
        note: What to know of the measures, a sentence, or nothing.
    """

    name: str
    game: PlayerGame
    equilibrium: Tensor | None = None
    measures: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    batch: Callable[[int, torch.Generator], tuple[Tensor, ...]] | None = None
    samples: Callable[[], Tensor] | None = None
    data: Tensor | None = None
    note: str = ""

    def error(self, start: Tensor) -> float:
        """Give the distance to the equilibrium relative to that of the start.

        Args:
            start: Joint control at the start, shape (m,).

        Returns:
            The ratio; NaN where no equilibrium is known.
        """
        if self.equilibrium is None:
            return float("nan")
        goal = self.equilibrium
        return float((self.game.control - goal).norm() / (start - goal).norm())


def from_control(
    values: list[Tensor], costs: list[Callable[..., Tensor]], names: list[str]
) -> PlayerGame:
    """Make a game whose players own one tensor each.

    Args:
        values: The start.
        costs: Each player's cost as a function of all tensors.
        names: The players' names.

    Returns:
        The game.
    """
    players = [value.clone().requires_grad_() for value in values]
    return PlayerGame(dict(zip(names, players, strict=True)), costs)
