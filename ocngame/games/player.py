"""Players: the decision makers of a game."""

from dataclasses import dataclass

__all__ = ["Player"]


@dataclass(frozen=True, kw_only=True)
class Player:
    """A decision maker that owns the controls of one or more stages.

    Attributes:
        name: Unique name within its game.
        stages: Names of the stages at which it acts, in forward order.
    """

    name: str
    stages: tuple[str, ...] = ()
