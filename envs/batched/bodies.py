"""What moves and what stands in a world of particles, and how its state is laid out.

With E entities, the A agents first and landmarks after them, the state is one column of numbers

    x = [ px (E) | py (E) | vx (A) | vy (A) | extra ]         F = 2E + 2A + extra

positions, velocities of the agents (landmarks do not move), and what a world adds, such as a goal.
The column is the *first* axis: `[F]` for one world, `[F, B]` for B copies. The same functions thus
serve a batch and, under `torch.vmap`, single vectors, and rows are contiguous.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import positive

__all__ = ["Body", "Layout"]


@dataclass(frozen=True, kw_only=True)
class Body:
    """An entity.

    Attributes:
        name: Its name.
        size: Radius.
        collides: Whether it pushes and is pushed.
        mass: Mass, of an agent.
        acceleration: Force of an agent's action of size one.
        max_speed: Greatest speed of an agent, None without a limit.
        color: Red, green and blue in [0, 1].
    """

    name: str
    size: float = 0.05
    collides: bool = True
    mass: float = 1.0
    acceleration: float = 5.0
    max_speed: float | None = None
    color: tuple[float, float, float] = (0.25, 0.25, 0.25)

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("size", "mass", "acceleration"):
            positive(name, getattr(self, name))
        if self.max_speed is not None:
            positive("max_speed", self.max_speed)


@dataclass(frozen=True)
class Layout:
    """Where things stand in the state.

    Attributes:
        agents: A.
        entities: E.
        extra: Number of rows that the world adds.
    """

    agents: int
    entities: int
    extra: int = 0

    @property
    def size(self) -> int:
        """F."""
        return 2 * (self.entities + self.agents) + self.extra

    @property
    def px(self) -> slice:
        """Rows of the first coordinates."""
        return slice(0, self.entities)

    @property
    def py(self) -> slice:
        """Rows of the second coordinates."""
        return slice(self.entities, 2 * self.entities)

    @property
    def vx(self) -> slice:
        """Rows of the first components of the velocities."""
        return slice(2 * self.entities, 2 * self.entities + self.agents)

    @property
    def vy(self) -> slice:
        """Rows of the second components of the velocities."""
        return slice(2 * self.entities + self.agents, 2 * (self.entities + self.agents))

    @property
    def more(self) -> slice:
        """Rows that the world adds."""
        return slice(2 * (self.entities + self.agents), self.size)

    def _unit(self, *rows: int) -> Tensor:
        out = torch.zeros(len(rows), self.size, dtype=torch.float64)
        out[range(len(rows)), list(rows)] = 1
        return out

    def position(self, entity: int) -> Tensor:
        """Say how to read a position off the state.

        Args:
            entity: Index.

        Returns:
            Shape (2, F).
        """
        return self._unit(entity, self.entities + entity)

    def velocity(self, agent: int) -> Tensor:
        """Say how to read a velocity off the state.

        Args:
            agent: Index.

        Returns:
            Shape (2, F).
        """
        first = 2 * self.entities + agent
        return self._unit(first, first + self.agents)

    def added(self, *which: int) -> Tensor:
        """Say how to read rows that the world adds off the state.

        Args:
            which: Their indices among those.

        Returns:
            Shape (len(which), F).
        """
        return self._unit(*[self.more.start + k for k in which])

    def nothing(self, count: int) -> Tensor:
        """Say how to read zeros.

        Args:
            count: How many.

        Returns:
            Shape (count, F).
        """
        return torch.zeros(count, self.size, dtype=torch.float64)
