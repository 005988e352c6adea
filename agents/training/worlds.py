"""Worlds by name, as runs make them."""

from typing import Protocol, runtime_checkable

from ocngame.envs import World, is_own, make, own_world

__all__ = ["IMAGE_SIDE", "WorldMaker", "make_world"]

IMAGE_SIDE = 32
"""Largest side of images that networks get from worlds of others."""


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


def make_world(name: str, copies: int, device: str) -> World:
    """Make a world by its name.

    Args:
        name: One of `ocngame.envs.own_names()`, spiel: and the name of a game of OpenSpiel that is
            small enough for a tree, or what `ocngame.envs.make` takes, such as
            mpe2.simple_spread_v3, classic/connect_four_v3 or module:attribute; images of such a
            world are made smaller, to `IMAGE_SIDE` at most.
        copies: Copies in lockstep.
        device: Where its tensors are.

    Returns:
        The world.
    """
    if is_own(name):
        return own_world(name, copies, device)
    side = None if name.startswith("batched/") else IMAGE_SIDE
    return make(name, batch_size=copies, seed=0, device=device, image_side=side)
