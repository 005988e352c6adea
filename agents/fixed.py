"""A world seen by some of its teams, the others being played by deciders that do not learn."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ocngame.agents.decider import Decider, act_all, forget_all, who_plays
from ocngame.envs import Moment, Transition, World
from ocngame.errors import InvalidInputError

__all__ = ["AgainstFixed"]


class AgainstFixed(World):
    """The groups of a world that nobody plays yet.

    The others' actions are drawn, with a generator of their own. In a turn-based world there are
    steps in which nobody acts: the others move then.
    """

    def __init__(self, world: World, others: Sequence[Decider], *, seed: int = 0):
        """Seat the others.

        Args:
            world: The world; it is stepped and closed from here.
            others: Who plays some of its groups, each group once.
            seed: Of their draws, until `reset` gets another.

        Raises:
            InvalidInputError: if they leave no group, or play one that the world does not have.
        """
        taken = who_plays(others)
        self.groups = tuple(group for group in world.groups if group.name not in taken)
        names = [group.name for group in world.groups]
        if not self.groups or not taken or not set(taken) <= set(names):
            raise InvalidInputError(
                f"others: expected to play some of the groups {names} of {world.name!r} and leave "
                f"at least one, got {sorted(taken)}"
            )
        self._inner, self._others = world, list(others)
        self.name, self.batch_size, self.horizon = world.name, world.batch_size, world.horizon
        self.state_size, self.device, self.dtype = world.state_size, world.device, world.dtype
        self._generator = torch.Generator(world.device).manual_seed(seed)
        self._memories = [decider.start(world) for decider in self._others]
        self._moment: Moment | None = None

    def reset(self, seed: int | None = None) -> Moment:
        """Start every copy anew; see `World.reset`.

        Args:
            seed: Of the world and of the others' draws.

        Returns:
            The first moment.
        """
        if seed is not None:
            self._generator.manual_seed(seed)
        self._memories = [decider.start(self._inner) for decider in self._others]
        self._moment = self._inner.reset(seed)
        return self._own(self._moment)

    def step(self, actions: Mapping[str, Tensor]) -> Transition:
        """Make one step of every copy; see `World.step`.

        Args:
            actions: Per group that is left.

        Returns:
            What it brought to these groups.

        Raises:
            InvalidInputError: if the world has not been reset.
        """
        if self._moment is None:
            raise InvalidInputError(f"{self.name}: expected reset before the first step")
        joint = {group.name: actions[group.name] for group in self.groups}
        with torch.no_grad():
            joint |= act_all(self._others, self._moment, self._memories, self._generator)
        found = self._inner.step(joint)
        forget_all(self._others, self._memories, found.over)
        self._moment = found.next
        return Transition(
            rewards=self._left(found.rewards),
            terminated=self._left(found.terminated),
            truncated=self._left(found.truncated),
            over=found.over,
            last=self._own(found.last),
            next=self._own(found.next),
        )

    def state_dict(self) -> dict[str, object]:
        """Give the world's state, what the others remember and their generator.

        Returns:
            Plain data and tensors, where what the others remember is such.
        """
        return {
            "world": self._inner.state_dict(),
            "memories": list(self._memories),
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> Moment:
        """Go back to a state that `state_dict` gave; see `World.load_state_dict`.

        Args:
            state: It.

        Returns:
            The moment to act on.
        """
        self._moment = self._inner.load_state_dict(state["world"])
        self._memories = list(state["memories"])
        self._generator.set_state(state["generator"])
        return self._own(self._moment)

    def close(self) -> None:
        """Close the world."""
        self._inner.close()

    def _left(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {group.name: values[group.name] for group in self.groups}

    def _own(self, moment: Moment) -> Moment:
        masks = {g.name: moment.masks[g.name] for g in self.groups if g.name in moment.masks}
        return Moment(
            observations=self._left(moment.observations),
            acting=self._left(moment.acting),
            masks=masks,
            state=moment.state,
        )
