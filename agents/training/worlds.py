"""Worlds by name, as runs make them."""

from typing import Protocol, runtime_checkable

from ocngame.envs import World

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
    """
    from ocngame.envs import make

    return make(name, copies, device=device)
