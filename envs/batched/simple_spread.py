"""simple_spread: N agents cover N landmarks and avoid each other.

An agent's reward is `(1 - q) g + q l` with q = `local_ratio`: g is minus the sum over landmarks of
the distance of the agent nearest to it, l minus the number of agents that it overlaps with.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import in_range, integer
from ocngame.envs.batched.bodies import Body
from ocngame.envs.batched.physics import Physics
from ocngame.envs.batched.scenario import Draw, Scenario

__all__ = ["SimpleSpread"]

CAPTURE = 0.1


@dataclass(frozen=True, kw_only=True)
class SimpleSpread(Scenario):
    """Options of simple_spread.

    Attributes:
        N: Number of agents, and of landmarks.
        local_ratio: Weight of an agent's own collisions.
        max_cycles: Steps of an episode.
        curriculum: Whether collisions cost nothing in the first of two stages.
        terminate_on_success: Whether an episode ends when each landmark has an agent within 0.1.
    """

    name = "simple_spread"

    N: int = 3
    local_ratio: float = 0.5
    max_cycles: int = 25
    curriculum: bool = False
    terminate_on_success: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        self.check()
        integer("N", self.N, low=1)
        in_range("local_ratio", self.local_ratio, low=0, high=1)

    @property
    def extra(self) -> int:
        """With a curriculum, one row: the weight of collisions."""
        return int(self.curriculum)

    @property
    def stages(self) -> int:
        """Two with a curriculum."""
        return 2 if self.curriculum else 1

    @property
    def agents(self) -> tuple[Body, ...]:
        """Discs of radius 0.15."""
        look = (0.35, 0.35, 0.85)
        return tuple(Body(name=f"agent_{i}", size=0.15, color=look) for i in range(self.N))

    @property
    def landmarks(self) -> tuple[Body, ...]:
        """Points that nothing collides with."""
        return tuple(Body(name=f"landmark_{i}", collides=False) for i in range(self.N))

    def start(self, batch: int, draw: Draw, stage: int) -> Tensor:
        """Draw every position from the square [-1, 1]^2; see `Scenario.start`."""
        x = torch.zeros(self.layout.size, batch, dtype=draw.dtype, device=draw.device)
        x[: 4 * self.N] = draw.uniform(4 * self.N, batch)
        return self.at_stage(x, stage)

    def at_stage(self, x: Tensor, stage: int) -> Tensor:
        """Set the weight of collisions; see `Scenario.at_stage`."""
        x[self.layout.more] = float(stage)
        return x

    def observation(self, agent: int) -> tuple[Tensor, Tensor]:
        """Own velocity and position, then relative positions; see `Scenario.observation`."""
        at, n = self.layout, self.N
        own, others = at.position(agent), [j for j in range(n) if j != agent]
        rows = [at.velocity(agent), own]
        rows += [at.position(n + k) - own for k in range(n)]
        rows += [at.position(j) - own for j in others]
        rows += [at.nothing(2 * (n - 1))]
        w = torch.cat(rows)
        return w, w.new_zeros(len(w))

    def rewards(self, physics: Physics, x: Tensor) -> Tensor:
        """Give rewards; see `Scenario.rewards`."""
        n = self.N
        shared = -self._uncovered(physics, x).sum(0)
        own = 1 - physics.touching(x, range(n), range(n)).sum(1)
        if self.curriculum:
            own = own * x[self.layout.more]
        return (1 - self.local_ratio) * shared + self.local_ratio * own

    def _uncovered(self, physics: Physics, x: Tensor) -> Tensor:
        n = self.N
        return physics.shapes.least(physics.distances(x, range(n, 2 * n), range(n)), 1)

    def ended(self, physics: Physics, x: Tensor) -> Tensor | None:
        """Say where all landmarks are covered; see `Scenario.ended`."""
        if not self.terminate_on_success:
            return None
        return (self._uncovered(physics, x) < CAPTURE).all(0)
