"""Worlds by name, as runs make them."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from ocngame._checks import one_of
from ocngame.envs import World, batched_names, batched_world, make
from ocngame.envs.boards import connect_four, tictactoe
from ocngame.envs.cards import TreeWorld
from ocngame.envs.matrix import matching_pennies, prisoners_dilemma, rock_paper_scissors
from ocngame.games.tree import kuhn, leduc

__all__ = ["IMAGE_SIDE", "WorldMaker", "make_world", "own_names"]

IMAGE_SIDE = 32
"""Largest side of images that networks get from worlds of others."""

_MAKERS: dict[str, Callable[[int, str], World]] = {
    "connect_four": lambda copies, device: connect_four(copies, device=device),
    "kuhn": lambda copies, device: TreeWorld(kuhn(), copies, device=device),
    "leduc": lambda copies, device: TreeWorld(leduc(), copies, device=device),
    "matching_pennies": lambda copies, _: matching_pennies(copies),
    "prisoners_dilemma": lambda copies, _: prisoners_dilemma(copies),
    "rock_paper_scissors": lambda copies, _: rock_paper_scissors(copies),
    "tictactoe": lambda copies, device: tictactoe(copies, device=device),
}


@runtime_checkable
class WorldMaker(Protocol):
    """Makes a world."""

    def __call__(self, name: str, copies: int, device: str) -> World:
        """Make it.

        Args:
            name: As in the settings.
            copies: Copies in lockstep.
            device: Where its tensors are.

        Returns:
            The world.
        """
        ...


def own_names() -> list[str]:
    """List the worlds of our own, batched in torch.

    Returns:
        Their names.
    """
    return sorted([*batched_names(), *_MAKERS])


def make_world(name: str, copies: int, device: str) -> World:
    """Make a world by its name.

    Args:
        name: One of `own_names()`, or what `ocngame.envs.make` takes, such as
            mpe2.simple_spread_v3, classic/connect_four_v3 or module:attribute; images of such a
            world are made smaller, to `IMAGE_SIDE` at most.
        copies: Copies in lockstep.
        device: Where its tensors are.

    Returns:
        The world.
    """
    if not set(".:/").isdisjoint(name):
        side = None if name.startswith("batched/") else IMAGE_SIDE
        return make(name, batch_size=copies, seed=0, device=device, image_side=side)
    one_of("world", name, own_names())
    if name in _MAKERS:
        return _MAKERS[name](copies, device)
    return batched_world(name, batch_size=copies, seed=0, device=device)
