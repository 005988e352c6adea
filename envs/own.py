"""Worlds of our own by name: the one table that runs, suites and self-play read."""

from collections.abc import Callable

from ocngame._checks import one_of
from ocngame.envs.batched import batched_names, batched_world
from ocngame.envs.boards import connect_four, tictactoe
from ocngame.envs.cards import TreeWorld
from ocngame.envs.matrix import matching_pennies, prisoners_dilemma, rock_paper_scissors
from ocngame.envs.world import World
from ocngame.games.tree import kuhn, leduc, tree_from_open_spiel

__all__ = ["is_own", "own_names", "own_world", "turn_names"]

Maker = Callable[[int, str], World]

_SPIEL = "spiel:"

_TURNS: dict[str, Maker] = {
    "connect_four": lambda copies, device: connect_four(copies, device=device),
    "kuhn": lambda copies, device: TreeWorld(kuhn(), copies, device=device),
    "leduc": lambda copies, device: TreeWorld(leduc(), copies, device=device),
    "tictactoe": lambda copies, device: tictactoe(copies, device=device),
}

_MATRICES: dict[str, Maker] = {
    "matching_pennies": lambda copies, _: matching_pennies(copies),
    "prisoners_dilemma": lambda copies, _: prisoners_dilemma(copies),
    "rock_paper_scissors": lambda copies, _: rock_paper_scissors(copies),
}


def turn_names() -> list[str]:
    """List the worlds for two players in turns.

    Returns:
        Their names.
    """
    return sorted(_TURNS)


def own_names() -> list[str]:
    """List the worlds of our own, batched in torch.

    Returns:
        Their names.
    """
    return sorted([*batched_names(), *_TURNS, *_MATRICES])


def is_own(name: str) -> bool:
    """Say whether a name is for `own_world`, and not for `make`.

    Args:
        name: It.

    Returns:
        Whether it has none of the signs of a path or a module, or is of a tree of OpenSpiel.
    """
    return name.startswith(_SPIEL) or set(".:/").isdisjoint(name)


def own_world(name: str, copies: int, device: str = "cpu") -> World:
    """Make a world of our own.

    Args:
        name: One of `own_names()`, or spiel: and the name of a game of OpenSpiel that is small
            enough for a tree.
        copies: Copies in lockstep.
        device: Where its tensors are.

    Returns:
        The world.
    """
    if name.startswith(_SPIEL):
        return TreeWorld(tree_from_open_spiel(name.removeprefix(_SPIEL)), copies, device=device)
    one_of("world", name, own_names())
    make = (_TURNS | _MATRICES).get(name)
    if make is not None:
        return make(copies, device)
    return batched_world(name, batch_size=copies, seed=0, device=device)
