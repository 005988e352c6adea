"""Worlds of self-play by name."""

from ocngame.envs import World
from ocngame.envs.boards import connect_four, tictactoe
from ocngame.envs.cards import TreeWorld
from ocngame.errors import UnknownNameError
from ocngame.games.tree import kuhn, leduc, tree_from_open_spiel

__all__ = ["make_turn_world"]

_SPIEL = "spiel:"
_TREES = {"kuhn": kuhn, "leduc": leduc}
_BOARDS = {"tictactoe": tictactoe, "connect_four": connect_four}


def make_turn_world(name: str, copies: int) -> World:
    """Make copies of a turn-based world for two.

    Args:
        name: kuhn, leduc, tictactoe, connect_four, or spiel: and the name of a game of OpenSpiel.
        copies: How many.

    Returns:
        The world.

    Raises:
        UnknownNameError: if there is no such world.
    """
    if name in _TREES:
        return TreeWorld(_TREES[name](), copies)
    if name in _BOARDS:
        return _BOARDS[name](copies)
    if name.startswith(_SPIEL):
        return TreeWorld(tree_from_open_spiel(name.removeprefix(_SPIEL)), copies)
    raise UnknownNameError("world", name, [*_TREES, *_BOARDS, f"{_SPIEL}NAME"])
