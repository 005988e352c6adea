"""Who chooses the actions of some groups of a world: the face that all agents share.

A decider is asked at every step for the actions of all its agents in all copies at once. What it
remembers between steps (a recurrent state, a plan) it gets back from its last answer, so that it
can play several games at a time.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ocngame.envs import Moment, World
from ocngame.errors import InvalidInputError

__all__ = ["Decider", "Mixed", "act_all", "by_group", "forget_all", "who_plays"]


class Decider(ABC):
    """Chooses the actions of some groups.

    Attributes:
        name: As tables show it.
        groups: Names of the groups that it plays.
    """

    name: str
    groups: tuple[str, ...]

    def start(self, world: World) -> object:
        """Give the memory before the first step.

        Args:
            world: The world to play in.

        Returns:
            None for a decider that remembers nothing.
        """
        return None

    @abstractmethod
    def act(
        self,
        moment: Moment,
        memory: object,
        generator: torch.Generator,
        *,
        deterministic: bool = False,
    ) -> tuple[dict[str, Tensor], object]:
        """Choose.

        Args:
            moment: What is known, on the device of the world.
            memory: From `start` or the last call.
            generator: For actions drawn at random, on the device of the world.
            deterministic: The most probable action instead of a drawn one.

        Returns:
            Actions per group, and the memory for the next call.
        """

    def forget(self, memory: object, over: Tensor) -> object:
        """Begin anew in the copies whose episode is over.

        Args:
            memory: From the last call of `act`.
            over: [B], bool.

        Returns:
            The memory for the next call.
        """
        return memory


@runtime_checkable
class Mixed(Protocol):
    """A decider whose probabilities of discrete actions depend on the observation alone."""

    def probabilities(self, group: str, observations: Tensor, mask: Tensor) -> Tensor:
        """Say how probable actions are, for exact values of a game.

        Args:
            group: A group that it plays, of one agent.
            observations: [K, O].
            mask: Allowed actions, [K, k], bool.

        Returns:
            [K, k]; 0 where not allowed.
        """
        ...


def who_plays(deciders: Sequence[Decider]) -> dict[str, Decider]:
    """Say who plays which group.

    Args:
        deciders: Who plays.

    Returns:
        A decider per group that has one.

    Raises:
        InvalidInputError: if a group has two.
    """
    found: dict[str, Decider] = {}
    for decider in deciders:
        for name in decider.groups:
            if name in found:
                raise InvalidInputError(
                    f"deciders: expected one for group {name!r}, "
                    f"got {found[name].name!r} and {decider.name!r}"
                )
            found[name] = decider
    return found


def by_group(world: World, deciders: Sequence[Decider]) -> Mapping[str, Decider]:
    """Say who plays each group of a world.

    Args:
        world: The world.
        deciders: Who plays.

    Returns:
        A decider per group of the world.

    Raises:
        InvalidInputError: if a group has no decider or two.
    """
    found = who_plays(deciders)
    missing = [group.name for group in world.groups if group.name not in found]
    if missing:
        raise InvalidInputError(f"deciders: expected one for every group, none plays {missing}")
    return found


def act_all(
    deciders: Sequence[Decider],
    moment: Moment,
    memories: list[object],
    generator: torch.Generator,
    *,
    deterministic: bool = False,
) -> dict[str, Tensor]:
    """Let deciders choose one after the other.

    Args:
        deciders: Who plays, each once.
        moment: What is known.
        memories: Theirs; replaced in place by those for the next call.
        generator: For actions drawn at random.
        deterministic: The most probable actions instead of drawn ones.

    Returns:
        Actions per group.
    """
    actions: dict[str, Tensor] = {}
    for i, decider in enumerate(deciders):
        chosen, memories[i] = decider.act(
            moment, memories[i], generator, deterministic=deterministic
        )
        actions.update(chosen)
    return actions


def forget_all(deciders: Sequence[Decider], memories: list[object], over: Tensor) -> None:
    """Begin anew in the copies whose episode is over.

    Args:
        deciders: Who plays, each once.
        memories: Theirs; replaced in place by those for the next call.
        over: [B], bool.
    """
    for i, decider in enumerate(deciders):
        memories[i] = decider.forget(memories[i], over)
