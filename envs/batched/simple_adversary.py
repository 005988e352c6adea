"""simple_adversary: agents know which landmark is the goal, the adversary does not.

The adversary's reward is minus its distance to the goal; each agent's is that distance minus the
distance of the agent nearest to the goal. Nothing collides.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import integer
from ocngame.envs.batched.bodies import Body
from ocngame.envs.batched.goal import gaps_to_goal, start_with_goal
from ocngame.envs.batched.physics import Physics
from ocngame.envs.batched.scenario import Draw, Scenario

__all__ = ["SimpleAdversary"]


@dataclass(frozen=True, kw_only=True)
class SimpleAdversary(Scenario):
    """Options of simple_adversary.

    Attributes:
        N: Number of agents, and of landmarks.
        max_cycles: Steps of an episode.
    """

    name = "simple_adversary"

    N: int = 2
    max_cycles: int = 25

    def __post_init__(self) -> None:
        """Check the options."""
        self.check()
        integer("N", self.N, low=1)

    @property
    def extra(self) -> int:
        """Two rows: the position of the goal."""
        return 2

    @property
    def agents(self) -> tuple[Body, ...]:
        """One adversary, then agents."""
        look = {"size": 0.15, "collides": False}
        adversary = Body(name="adversary_0", color=(0.85, 0.35, 0.35), **look)
        blue = (0.35, 0.35, 0.85)
        good = [Body(name=f"agent_{i}", color=blue, **look) for i in range(self.N)]
        return (adversary, *good)

    @property
    def landmarks(self) -> tuple[Body, ...]:
        """Points; one of them is the goal."""
        look = {"size": 0.08, "collides": False, "color": (0.15, 0.15, 0.15)}
        return tuple(Body(name=f"landmark_{i}", **look) for i in range(self.N))

    def start(self, batch: int, draw: Draw, stage: int) -> Tensor:
        """Draw positions from [-1, 1]^2 and a goal; see `Scenario.start`."""
        return start_with_goal(self.layout, batch, draw)[0]

    def observation(self, agent: int) -> tuple[Tensor, Tensor]:
        """Goal, but not for the adversary, and relative positions; see `Scenario.observation`."""
        at, own = self.layout, self.layout.position(agent)
        others = [j for j in range(at.agents) if j != agent]
        rows = [] if agent == 0 else [at.added(0, 1) - own]
        rows += [at.position(k) - own for k in range(at.agents, at.entities)]
        rows += [at.position(j) - own for j in others]
        w = torch.cat(rows)
        return w, w.new_zeros(len(w))

    def rewards(self, physics: Physics, x: Tensor) -> Tensor:
        """Give rewards; see `Scenario.rewards`."""
        gaps = gaps_to_goal(physics, x)
        bad, near = gaps[:1], physics.shapes.least(gaps[1:], 0)
        good = (bad - near).expand(self.N, *bad.shape[1:])
        return torch.cat([-bad, good])
