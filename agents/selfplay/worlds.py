"""Worlds of self-play by name."""

from ocngame.envs import World, make
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
        name: kuhn, leduc, tictactoe, connect_four, spiel: and the name of a game of OpenSpiel that
            is small enough for a tree, or what `ocngame.envs.make` takes, such as
            classic/leduc_holdem_v4 or openspiel/connect_four.
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
    if not set(".:/").isdisjoint(name):
        return make(name, batch_size=copies, seed=0)
    raise UnknownNameError("world", name, [*_TREES, *_BOARDS, f"{_SPIEL}NAME"])
