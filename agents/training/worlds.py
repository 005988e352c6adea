"""Worlds by name, as runs make them."""

from typing import Protocol, runtime_checkable

from ocngame._checks import one_of
from ocngame.envs import World, batched_names, batched_world

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
        name: As in the settings.
        copies: Copies in lockstep.
        device: Where its tensors are.

    Returns:
        The world.

    Raises:
        UnknownNameError: if there is no such world.
    """
    one_of("world", name, batched_names())
    return batched_world(name, batch_size=copies, seed=0, device=device)
