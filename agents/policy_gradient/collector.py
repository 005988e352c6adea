"""Play of all copies by policies that are learning, kept in tensors."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ocngame.agents.networks import Policy
from ocngame.agents.policy_gradient.segment import GroupSegment, Segment
from ocngame.envs import Group, Moment, World

__all__ = ["Collector", "EpisodeSums"]


@dataclass
class EpisodeSums:
    """Returns of the episodes that ended, per team.

    Attributes:
        totals: Sum over episodes of the team's mean return.
        episodes: Their number.
        steps: Sum of their lengths.
    """

    totals: dict[str, float] = field(default_factory=dict)
    episodes: int = 0
    steps: int = 0


class Collector:
    """The world, the moment it is in, and what the policies remember of it.

    Attributes:
        world: The world.
        moment: To act on.
        memories: Per group [B, A, H].
        generator: For the draws.
        ended: Episodes that ended since the last `take_ended`.
    """

    def __init__(self, world: World, policies: Mapping[str, Policy], seed: int):
        """Start the world.

        Args:
            world: The world.
            policies: One per group.
            seed: Of world and draws.
        """
        self.world, self._policies = world, policies
        self.generator = torch.Generator(world.device).manual_seed(seed)
        self.moment = world.reset(seed)
        self.memories = self._empty()
        self._running = self._zeros()
        self._steps = torch.zeros(world.batch_size, dtype=torch.long, device=world.device)
        self.ended = EpisodeSums()

    @torch.no_grad()
    def collect(self, steps: int) -> Segment:
        """Play.

        Args:
            steps: T.

        Returns:
            The segment.
        """
        world = self.world
        kept = {group.name: _Kept(group, self.memories[group.name]) for group in world.groups}
        states, reached, overs = [], {}, []
        for t in range(steps):
            moment, actions = self.moment, {}
            states.append(moment.state.float())
            for name, keeping in kept.items():
                actions[name] = self._act(name, moment, keeping)
            transition = world.step(actions)
            overs.append(transition.over)
            cut = t == steps - 1 or any(bool(v.any()) for v in transition.truncated.values())
            if cut:
                reached[t] = transition.last.state.float()
            for name, keeping in kept.items():
                keeping.rewards.append(transition.rewards[name].float())
                keeping.terminated.append(transition.terminated[name])
                keeping.truncated.append(transition.truncated[name])
                if cut:
                    keeping.reached[t] = transition.last.observations[name].float()
            self._count(transition.rewards, transition.over)
            self.moment = transition.next
        return Segment(
            groups={name: k.segment(self.moment.acting[name]) for name, k in kept.items()},
            states=torch.stack(states),
            reached=reached,
            over=torch.stack(overs),
        )

    def take_ended(self) -> EpisodeSums:
        """Hand over the episodes that ended, and count anew.

        Returns:
            Those since the last call.
        """
        ended, self.ended = self.ended, EpisodeSums()
        return ended

    def state_dict(self) -> dict[str, object]:
        """Give what a later run needs to go on.

        A world that cannot be copied within an episode starts anew here as it does when a run is
        resumed, so that both go on alike.

        Returns:
            Plain data and tensors.
        """
        state = self.world.state_dict()
        before = self.moment
        self.moment = self.world.load_state_dict(state)
        same = torch.equal(before.state, self.moment.state)
        if not same:
            self.memories, self._running = self._empty(), self._zeros()
            self._steps = torch.zeros_like(self._steps)
        return {
            "world": state,
            "memories": self.memories,
            "running": self._running,
            "steps": self._steps,
            "generator": self.generator.get_state(),
            "totals": self.ended.totals,
            "episodes": self.ended.episodes,
            "lengths": self.ended.steps,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go back to a state that `state_dict` gave.

        Args:
            state: It.
        """
        self.moment = self.world.load_state_dict(state["world"])
        self.memories, self._running = dict(state["memories"]), dict(state["running"])
        self._steps = state["steps"]
        self.generator.set_state(state["generator"])
        self.ended = EpisodeSums(dict(state["totals"]), state["episodes"], state["lengths"])

    def _act(self, name: str, moment: Moment, keeping: "_Kept") -> Tensor:
        policy, mask = self._policies[name], moment.masks.get(name)
        observations = moment.observations[name].float()
        outputs, self.memories[name] = policy.advance(observations, self.memories[name], mask)
        choice = policy.head.draw(outputs, self.generator)
        keeping.observations.append(observations)
        keeping.acting.append(moment.acting[name])
        keeping.choices.append(choice)
        keeping.outputs.append(outputs)
        if mask is not None:
            keeping.masks.append(mask)
        return policy.head.to_world(choice)

    def _count(self, rewards: Mapping[str, Tensor], over: Tensor) -> None:
        self._running = {n: total + rewards[n].mean(-1) for n, total in self._running.items()}
        self._steps = self._steps + 1
        if not bool(over.any()):
            return
        ended, shares = self.ended, _shares(self.world.groups)
        ended.episodes += int(over.sum())
        ended.steps += int(self._steps[over].sum())
        for group in self.world.groups:
            mean = float(self._running[group.name][over].double().sum()) * shares[group.name]
            ended.totals[group.team] = ended.totals.get(group.team, 0.0) + mean
        for name, total in self._running.items():
            self._running[name] = torch.where(over, 0.0, total)
            memory = self.memories[name]
            if memory.shape[-1] > 0:
                self.memories[name] = torch.where(over[:, None, None], 0.0, memory)
        self._steps = torch.where(over, 0, self._steps)

    def _empty(self) -> dict[str, Tensor]:
        world = self.world
        return {
            g.name: torch.zeros(
                world.batch_size,
                len(g.agents),
                self._policies[g.name].body.memory_size,
                device=world.device,
            )
            for g in world.groups
        }

    def _zeros(self) -> dict[str, Tensor]:
        world = self.world
        return {
            g.name: torch.zeros(world.batch_size, dtype=world.dtype, device=world.device)
            for g in world.groups
        }


class _Kept:
    """Lists of tensors that become a segment."""

    def __init__(self, group: Group, memory: Tensor):
        self.group, self.memory = group, memory
        self.observations: list[Tensor] = []
        self.masks: list[Tensor] = []
        self.acting: list[Tensor] = []
        self.choices: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.rewards: list[Tensor] = []
        self.terminated: list[Tensor] = []
        self.truncated: list[Tensor] = []
        self.reached: dict[int, Tensor] = {}

    def segment(self, acts_next: Tensor) -> GroupSegment:
        return GroupSegment(
            observations=torch.stack(self.observations),
            masks=torch.stack(self.masks) if self.masks else None,
            acting=torch.stack(self.acting),
            acts_next=acts_next,
            choices=torch.stack(self.choices),
            outputs=torch.stack(self.outputs),
            rewards=torch.stack(self.rewards),
            terminated=torch.stack(self.terminated),
            truncated=torch.stack(self.truncated),
            reached=self.reached,
            memory=self.memory,
        )


def _shares(groups: tuple[Group, ...]) -> dict[str, float]:
    """Give each group's part of the agents of its team."""
    sizes: dict[str, int] = {}
    for group in groups:
        sizes[group.team] = sizes.get(group.team, 0) + len(group.agents)
    return {group.name: len(group.agents) / sizes[group.team] for group in groups}
