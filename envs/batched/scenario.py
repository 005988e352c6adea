"""What makes one world of particles differ from another: bodies, starts, observations, rewards."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ocngame._checks import integer
from ocngame.envs.batched.bodies import Body, Layout
from ocngame.envs.batched.physics import Physics

__all__ = ["Draw", "Scenario"]


@dataclass(frozen=True)
class Draw:
    """Where random numbers come from.

    Attributes:
        generator: Of the world.
        dtype: Of the numbers.
        device: Where.
    """

    generator: torch.Generator
    dtype: torch.dtype
    device: torch.device

    def uniform(self, *shape: int, bound: float = 1.0) -> Tensor:
        """Draw uniformly from [-bound, bound].

        Args:
            shape: Of the result.
            bound: Of the numbers.

        Returns:
            The numbers.
        """
        u = torch.rand(*shape, generator=self.generator, dtype=self.dtype, device=self.device)
        return bound * (2 * u - 1)

    def index(self, count: int, below: int) -> Tensor:
        """Draw indices uniformly.

        Args:
            count: How many.
            below: Exclusive bound.

        Returns:
            Shape (count,).
        """
        return torch.randint(below, (count,), generator=self.generator, device=self.device)


class Scenario(ABC):
    """Rules of a world of particles; a subclass is a frozen dataclass of the world's options.

    Agents are named `group_index`, agents of a group stand one after the other, and a group is a
    team. The module `ocngame.envs.batched.bodies` says how the state is laid out.

    Attributes:
        name: The world's name.
        max_cycles: Steps of an episode, after which it is truncated.
    """

    name: str
    max_cycles: int

    def check(self) -> None:
        """Check the options that all worlds have."""
        integer("max_cycles", self.max_cycles, low=1)

    @property
    def extra(self) -> int:
        """Number of rows that the world adds to the state."""
        return 0

    @property
    def stages(self) -> int:
        """Number of stages of its curriculum, 1 without one."""
        return 1

    @property
    @abstractmethod
    def agents(self) -> tuple[Body, ...]:
        """The agents, groups one after the other."""

    @property
    @abstractmethod
    def landmarks(self) -> tuple[Body, ...]:
        """The landmarks."""

    @cached_property
    def layout(self) -> Layout:
        """Of the state."""
        return Layout(len(self.agents), len(self.agents) + len(self.landmarks), self.extra)

    @cached_property
    def groups(self) -> dict[str, tuple[int, ...]]:
        """Indices of the agents of each group."""
        found: dict[str, list[int]] = {}
        for i, agent in enumerate(self.agents):
            found.setdefault(agent.name.rpartition("_")[0], []).append(i)
        return {name: tuple(members) for name, members in found.items()}

    @abstractmethod
    def start(self, batch: int, draw: Draw, stage: int) -> Tensor:
        """Draw first states.

        Args:
            batch: How many.
            draw: Where random numbers come from.
            stage: Of the curriculum.

        Returns:
            Shape (F, batch).
        """

    @abstractmethod
    def observation(self, agent: int) -> tuple[Tensor, Tensor]:
        """Say what an agent observes, a function `W x + b` of the state.

        Args:
            agent: Its index.

        Returns:
            W, shape (O, F), and b, shape (O,), in float64.
        """

    @abstractmethod
    def rewards(self, physics: Physics, x: Tensor) -> Tensor:
        """Give the rewards of a state that was reached.

        Args:
            physics: With the way nonsmooth pieces are computed.
            x: State, shape (F, ...).

        Returns:
            Per agent, shape (A, ...).
        """

    def advance(self, physics: Physics, x: Tensor, u: Tensor) -> Tensor:
        """Give the next state.

        Args:
            physics: Of the world.
            x: State, shape (F, ...).
            u: Actions, shape (2A, ...).

        Returns:
            Shape (F, ...).
        """
        return physics.advance(x, u)

    def at_stage(self, x: Tensor, stage: int) -> Tensor:
        """Change what a new stage of the curriculum changes at once.

        Args:
            x: State, shape (F, ...).
            stage: The stage.

        Returns:
            The state.
        """
        return x

    def ended(self, physics: Physics, x: Tensor) -> Tensor | None:
        """Say in which copies the rules end the episode.

        Args:
            physics: Of the world.
            x: State, shape (F, ...).

        Returns:
            Shape (...), bool; None if the rules never do.
        """
        return None
