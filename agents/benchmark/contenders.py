"""Who can play and learn in which world.

| name | what it is | worlds |
|---|---|---|
| ippo, mappo | policy gradient, every team against the others as they learn | all |
| coupled | every step solves the stage game between all groups | at once, discrete actions |
| selfplay | one policy for both seats, pulled to a slow reference | two in turns, zero-sum |
| random | uniform over allowed actions | all |
| greedy, planner | scripted, and a game solved anew at every step | worlds of particles |

Worlds are told apart by their names alone; a world of others that turns out not to fit makes its
cell fail with the reason.
"""

from dataclasses import dataclass

from ocngame.envs import batched_names, own_names, turn_names
from ocngame.envs.batched import SCENARIOS

__all__ = [
    "ALGORITHMS",
    "OPTIMIZED",
    "OPTIMIZERS",
    "PLAYERS",
    "PLAYER_LABELS",
    "Contender",
    "fits",
]

ALGORITHMS = ("ippo", "mappo", "coupled", "selfplay")
"""What is trained."""

OPTIMIZED = ("ippo", "mappo", "selfplay")
"""Algorithms that leave the choice of an optimizer."""

OPTIMIZERS = ("adam", "ocnopt")
"""Which those are."""

PLAYERS = ("random", "greedy", "planner")
"""Who plays without training."""

PLAYER_LABELS = {"random": "random", "greedy": "greedy", "planner": "nash planner"}
"""How reports call them."""

_TURN_STARTS = ("openspiel/", "spiel:", "classic/")


@dataclass(frozen=True, kw_only=True)
class Contender:
    """An algorithm with an optimizer.

    Attributes:
        algorithm: One of `ALGORITHMS`.
        optimizer: adam or ocnopt; empty for algorithms that are optimizers themselves.
    """

    algorithm: str
    optimizer: str

    @property
    def label(self) -> str:
        """How reports call it."""
        return f"{self.algorithm} {self.optimizer}".strip()


def fits(name: str, world: str) -> bool:
    """Say whether an algorithm or a player is for a world.

    Args:
        name: One of `ALGORITHMS` or `PLAYERS`.
        world: Name of the world.

    Returns:
        Whether it is, as far as the world's name tells.
    """
    turns = world in turn_names() or world.startswith(_TURN_STARTS)
    if name == "selfplay":
        return turns
    if name == "coupled":
        continuous = world in batched_names() and world not in SCENARIOS
        return not turns and not continuous
    if name in {"greedy", "planner"}:
        return world in SCENARIOS or (
            world not in own_names() and any(known in world for known in SCENARIOS)
        )
    return True
