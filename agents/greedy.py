"""Scripted players of the worlds of particles: straight to what pays, away from what costs.

| world | group | what an agent does |
|---|---|---|
| simple_spread | agent | goes to the landmark of its own number |
| simple_tag | adversary | chases the nearest agent |
| simple_tag | agent | leaves the nearest adversary, and turns back near the edge |
| simple_adversary, simple_push | both | goes to the goal, or where the adversary believes it is |

It moves along the axis on which it has farthest to go, and stands still within 0.05.
"""

from collections.abc import Sequence

import torch
from gymnasium.spaces import Box
from torch import Tensor

from ocngame.agents.decider import Decider
from ocngame.agents.observer import Observer, Seen
from ocngame.envs import Moment, World
from ocngame.envs.batched import Scenario
from ocngame.envs.batched.particle_world import ACTIONS
from ocngame.errors import InvalidInputError, UnknownNameError

__all__ = ["GreedyDecider"]

EDGE = 0.8
NEAR = 0.05


class GreedyDecider(Decider):
    """Plays some teams of a world of particles by rule."""

    def __init__(self, scenario: Scenario, groups: Sequence[str] | None = None):
        """Read the rules.

        Args:
            scenario: The rules of the world.
            groups: Which to play; all if None.

        Raises:
            UnknownNameError: if the world has no such group.
        """
        self.name = "greedy"
        self.groups = tuple(scenario.groups) if groups is None else tuple(groups)
        for group in self.groups:
            if group not in scenario.groups:
                raise UnknownNameError("groups", group, scenario.groups)
        self._scenario = scenario
        # Each group on its own: a player knows what its team observes.
        self._observers = {name: Observer(scenario, [name]) for name in self.groups}

    def start(self, world: World) -> object:
        """Begin; see `Decider.start`.

        Args:
            world: The world to play in.

        Returns:
            What each group has seen.

        Raises:
            InvalidInputError: if the world's actions are not discrete.
        """
        for group in world.groups:
            if group.name in self.groups and isinstance(group.action_space, Box):
                raise InvalidInputError(
                    f"world: expected Discrete actions of {group.name!r}, got {group.action_space}"
                )
        return {n: o.begin(world.batch_size, world.device) for n, o in self._observers.items()}

    def act(
        self,
        moment: Moment,
        memory: object,
        generator: torch.Generator,
        *,
        deterministic: bool = False,
    ) -> tuple[dict[str, Tensor], object]:
        """Go where the rule says; see `Decider.act`.

        Args:
            moment: What is known.
            memory: From `start` or the last call.
            generator: Not used.
            deterministic: Not used.

        Returns:
            Actions per group, and the memory for the next call.

        Raises:
            InvalidInputError: if the memory is not from `start`.
        """
        if not isinstance(memory, dict):
            raise InvalidInputError(f"memory: expected what `start` gave, got {memory!r}")
        seen: dict[str, Seen] = {
            name: observer.read(moment, memory[name]) for name, observer in self._observers.items()
        }
        return {name: self._moves(name, now.x) for name, now in seen.items()}, seen

    def forget(self, memory: object, over: Tensor) -> object:
        """Begin anew where episodes are over; see `Decider.forget`.

        Args:
            memory: From the last call of `act`.
            over: [B], bool.

        Returns:
            The memory for the next call.
        """
        if not isinstance(memory, dict):
            return memory
        return {n: Seen(s.x, s.first, s.begun & ~over) for n, s in memory.items()}

    def _moves(self, name: str, x: Tensor) -> Tensor:
        at, groups = self._scenario.layout, self._scenario.groups
        p = torch.stack([x[:, at.px], x[:, at.py]], -1)
        own = p[:, list(groups[name])]
        if self._scenario.name == "simple_spread":
            way = p[:, at.agents :] - own
        elif self._scenario.name == "simple_tag":
            other = p[:, list(groups["agent" if name == "adversary" else "adversary"])]
            gaps = torch.cdist(own, other)
            target = other.gather(1, gaps.argmin(-1, keepdim=True).expand(-1, -1, 2))
            way = target - own if name == "adversary" else own - target
            if name == "agent":
                way = torch.where(own.abs() > EDGE, -10 * own, way)
        else:
            way = x[:, None, at.more][..., :2] - own
        table = way.new_tensor(ACTIONS)
        best = (way @ table.T).argmax(-1)
        return torch.where(way.abs().amax(-1) < NEAR, 0, best)
