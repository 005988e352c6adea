"""A stretch of play: T decisions of B copies."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

__all__ = ["Segment"]


@dataclass(frozen=True, kw_only=True)
class Segment:
    """What happened, with the moment after the last decision as an extra row where it is needed.

    Attributes:
        observations: Of the player to move, [T + 1, B, O].
        states: Of the world, with a last entry for the seat to move, [T + 1, B, S + 1].
        masks: Allowed actions, [T + 1, B, A], bool.
        seats: Who moves, [T + 1, B].
        learns: Whether the learner moves, and not a policy of the league, [T + 1, B], bool.
        policies: Probabilities that who moves plays with, [T + 1, B, A].
        actions: [T, B].
        rewards: Player 0's, [T, B].
        over: Whether the game was over after, [T, B], bool.
    """

    observations: Tensor
    states: Tensor
    masks: Tensor
    seats: Tensor
    learns: Tensor
    policies: Tensor
    actions: Tensor
    rewards: Tensor
    over: Tensor

    @property
    def signs(self) -> Tensor:
        """1 where player 0 moves, -1 where player 1 does, [T + 1, B]."""
        return 1.0 - 2.0 * self.seats

    @property
    def behaviour(self) -> Tensor:
        """Probability that the action taken was taken with, [T, B]."""
        return self.policies[:-1].gather(-1, self.actions[..., None])[..., 0]

    def as_dict(self) -> dict[str, Tensor]:
        """Give the tensors by name.

        Returns:
            Them, not copied.
        """
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def stack(cls, rows: list[dict[str, Tensor]], last: dict[str, Tensor]) -> "Segment":
        """Join decisions.

        Args:
            rows: Tensors of every decision by name.
            last: Those of the moment after.

        Returns:
            The segment.
        """
        names = [f.name for f in fields(cls)]
        extra = {name: [last[name]] if name in last else [] for name in names}
        return cls(**{name: torch.stack([r[name] for r in rows] + extra[name]) for name in names})
