"""simple_push: an adversary keeps an agent, by its body, from the landmark that is its goal.

The agent's reward is minus its distance to the goal; the adversary's is that distance minus its
own distance to the goal. The adversary does not know which of two landmarks the goal is; the agent
sees it by colours.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.envs.batched.bodies import Body
from ocngame.envs.batched.goal import gaps_to_goal, start_with_goal
from ocngame.envs.batched.physics import Physics
from ocngame.envs.batched.scenario import Draw, Scenario

__all__ = ["SimplePush"]

COLORS = ((0.1, 0.9, 0.1), (0.1, 0.1, 0.9))


@dataclass(frozen=True, kw_only=True)
class SimplePush(Scenario):
    """Options of simple_push.

    Attributes:
        max_cycles: Steps of an episode.
    """

    name = "simple_push"

    max_cycles: int = 25

    def __post_init__(self) -> None:
        """Check the options."""
        self.check()

    @property
    def extra(self) -> int:
        """Four rows: the position of the goal, and which landmark it is."""
        return 4

    @property
    def agents(self) -> tuple[Body, ...]:
        """The adversary, then the agent."""
        return (
            Body(name="adversary_0", color=(0.75, 0.25, 0.25)),
            Body(name="agent_0", color=(0.25, 0.25, 0.25)),
        )

    @property
    def landmarks(self) -> tuple[Body, ...]:
        """Two points."""
        return tuple(
            Body(name=f"landmark_{i}", collides=False, color=look) for i, look in enumerate(COLORS)
        )

    def start(self, batch: int, draw: Draw, stage: int) -> Tensor:
        """Draw positions from [-1, 1]^2 and a goal; see `Scenario.start`."""
        x, goal = start_with_goal(self.layout, batch, draw)
        x[-2:] = torch.stack([goal == 0, goal == 1])
        return x

    def observation(self, agent: int) -> tuple[Tensor, Tensor]:
        """Velocity, goal and colours for the agent, positions; see `Scenario.observation`."""
        at, own = self.layout, self.layout.position(agent)
        places = [at.position(k) - own for k in range(at.agents, at.entities)]
        other = at.position(1 - agent) - own
        if agent == 0:
            w = torch.cat([at.velocity(0), *places, other])
            return w, w.new_zeros(len(w))
        # Grey, and half of the goal's colour on top.
        own_color = torch.cat([at.nothing(1), 0.5 * at.added(2, 3)])
        rows = [at.velocity(1), at.added(0, 1) - own, own_color, *places, at.nothing(6), other]
        w = torch.cat(rows)
        b = w.new_zeros(len(w))
        b[4:7], b[11:14], b[14:17] = 0.25, w.new_tensor(COLORS[0]), w.new_tensor(COLORS[1])
        return w, b

    def rewards(self, physics: Physics, x: Tensor) -> Tensor:
        """Give rewards; see `Scenario.rewards`."""
        bad, good = gaps_to_goal(physics, x)
        return torch.stack([good - bad, -good])
