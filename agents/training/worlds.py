"""Worlds by name, as runs make them."""

from typing import Protocol, runtime_checkable

from ocngame._checks import one_of
from ocngame.envs import World, batched_names, batched_world, make

__all__ = ["WorldMaker", "make_world"]


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
        name: One of `batched_names()`, or what `ocngame.envs.make` takes, such as
            mpe2.simple_spread_v3, classic/connect_four_v3 or module:attribute.
        copies: Copies in lockstep.
        device: Where its tensors are.

    Returns:
        The world.
    """
    if set(".:/").isdisjoint(name):
        one_of("world", name, batched_names())
        return batched_world(name, batch_size=copies, seed=0, device=device)
    return make(name, batch_size=copies, seed=0, device=device)
