"""Worlds of self-play by name."""

from ocngame.envs import World, is_own, make, own_world, turn_names
from ocngame.errors import UnknownNameError

__all__ = ["make_turn_world"]


def make_turn_world(name: str, copies: int) -> World:
    """Make copies of a turn-based world for two.

    Args:
        name: kuhn, leduc, tictactoe, connect_four, spiel: and the name of a game of OpenSpiel that
            is small enough for a tree, or what `ocngame.envs.make` takes, such as
            classic/leduc_holdem_v4 or openspiel/connect_four.
        copies: How many.

    Returns:
        The world.

    Raises:
        UnknownNameError: if there is no such world.
    """
    if not is_own(name):
        return make(name, batch_size=copies, seed=0)
    if ":" not in name and name not in turn_names():
        raise UnknownNameError("world", name, [*turn_names(), "spiel:NAME"])
    return own_world(name, copies)
