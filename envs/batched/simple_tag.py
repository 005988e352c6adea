"""simple_tag: slow adversaries chase faster agents among obstacles.

Each adversary earns 10 for every pair of an adversary and an agent that overlap; an agent loses 10
per adversary that it overlaps with, and per coordinate, with x its absolute value,

    0 for x < 0.9,    10 (x - 0.9) for 0.9 <= x < 1,    min(exp(2x - 2), 10) from there on

which is written here as `min(10, 10 (r(x - 0.9) - r(x - 1)) + exp(2 r(x - 1)) - 1)` with r the
positive part: it is the same function, continuous, of pieces that can be made smooth.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import integer
from ocngame.envs.batched.bodies import Body
from ocngame.envs.batched.physics import Physics
from ocngame.envs.batched.scenario import Draw, Scenario

__all__ = ["SimpleTag"]

SPEED_FACTORS = (0.5, 0.75, 1.0)
PREY_SPEED, PREY_FORCE = 1.3, 4.0
HUNTER_SPEED, HUNTER_FORCE = 1.0, 3.0
CATCH = 10.0


@dataclass(frozen=True, kw_only=True)
class SimpleTag(Scenario):
    """Options of simple_tag.

    Attributes:
        num_good: Number of agents that are chased.
        num_adversaries: Number of those that chase.
        num_obstacles: Number of obstacles.
        max_cycles: Steps of an episode.
        curriculum: Whether the chased are slower in the first two of three stages.
        terminate_on_success: Whether an episode ends when all agents are caught at once.
    """

    name = "simple_tag"

    num_good: int = 1
    num_adversaries: int = 3
    num_obstacles: int = 2
    max_cycles: int = 25
    curriculum: bool = False
    terminate_on_success: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        self.check()
        integer("num_good", self.num_good, low=1)
        integer("num_adversaries", self.num_adversaries, low=1)
        integer("num_obstacles", self.num_obstacles, low=0)

    @property
    def extra(self) -> int:
        """With a curriculum, one row: the factor of the speed of the chased."""
        return int(self.curriculum)

    @property
    def stages(self) -> int:
        """Three with a curriculum."""
        return len(SPEED_FACTORS) if self.curriculum else 1

    @property
    def agents(self) -> tuple[Body, ...]:
        """Adversaries, then agents."""
        hunters = [
            Body(
                name=f"adversary_{i}",
                size=0.075,
                acceleration=HUNTER_FORCE,
                max_speed=HUNTER_SPEED,
                color=(0.85, 0.35, 0.35),
            )
            for i in range(self.num_adversaries)
        ]
        prey = [
            Body(
                name=f"agent_{i}",
                size=0.05,
                acceleration=PREY_FORCE,
                max_speed=PREY_SPEED,
                color=(0.35, 0.85, 0.35),
            )
            for i in range(self.num_good)
        ]
        return (*hunters, *prey)

    @property
    def landmarks(self) -> tuple[Body, ...]:
        """Obstacles that nothing moves."""
        return tuple(Body(name=f"landmark_{i}", size=0.2) for i in range(self.num_obstacles))

    def start(self, batch: int, draw: Draw, stage: int) -> Tensor:
        """Draw agents from [-1, 1]^2 and obstacles from [-0.9, 0.9]^2; see `Scenario.start`."""
        at = self.layout
        x = torch.zeros(at.size, batch, dtype=draw.dtype, device=draw.device)
        x[: 2 * at.entities] = draw.uniform(2 * at.entities, batch)
        for rows in (at.px, at.py):
            x[rows.start + at.agents : rows.stop] *= 0.9
        x[at.more] = SPEED_FACTORS[stage]
        return x

    def advance(self, physics: Physics, x: Tensor, u: Tensor) -> Tensor:
        """Give the next state; see `Scenario.advance`."""
        if not self.curriculum:
            return physics.advance(x, u)
        factor = x[self.layout.more]
        hunters = torch.ones_like(factor).expand(self.num_adversaries, *factor.shape[1:])
        prey = factor.expand(self.num_good, *factor.shape[1:])
        return physics.advance(
            x,
            u,
            force=torch.cat([HUNTER_FORCE * hunters, PREY_FORCE * prey]),
            limit=torch.cat([HUNTER_SPEED * hunters, PREY_SPEED * prey]),
        )

    def observation(self, agent: int) -> tuple[Tensor, Tensor]:
        """Own motion, relative positions, velocities of the chased; see `Scenario.observation`."""
        at, own = self.layout, self.layout.position(agent)
        others = [j for j in range(at.agents) if j != agent]
        rows = [at.velocity(agent), own]
        rows += [at.position(k) - own for k in range(at.agents, at.entities)]
        rows += [at.position(j) - own for j in others]
        rows += [at.velocity(j) for j in others if j >= self.num_adversaries]
        w = torch.cat(rows)
        return w, w.new_zeros(len(w))

    def rewards(self, physics: Physics, x: Tensor) -> Tensor:
        """Give rewards; see `Scenario.rewards`."""
        at, hunters = self.layout, self.num_adversaries
        prey = range(hunters, at.agents)
        caught = CATCH * physics.touching(x, prey, range(hunters)).sum(1)
        away = self._away(physics, x[at.px][hunters : at.agents])
        away = away + self._away(physics, x[at.py][hunters : at.agents])
        shared = caught.sum(0, keepdim=True)
        return torch.cat([shared.expand(hunters, *shared.shape[1:]), -caught - away])

    def _away(self, physics: Physics, p: Tensor) -> Tensor:
        shapes = physics.shapes
        x = shapes.length(p, torch.zeros_like(p))
        inside, outside = shapes.ramp(x - 0.9), shapes.ramp(x - 1)
        # The exponential is the lesser of the two up to 1 + log(10) / 2; beyond, it may overflow.
        leaving = (2 * outside).clamp_max(3.0).exp() - 1
        return shapes.cap(10 * (inside - outside) + leaving, 10.0)

    def ended(self, physics: Physics, x: Tensor) -> Tensor | None:
        """Say where all agents are caught; see `Scenario.ended`."""
        if not self.terminate_on_success:
            return None
        hunters = self.num_adversaries
        touching = physics.touching(x, range(hunters, self.layout.agents), range(hunters))
        return (touching > 0).any(1).all(0)
