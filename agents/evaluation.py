"""Returns of whole episodes, per team: what is compared everywhere.

Every copy plays the same number of episodes from its start, so that short episodes are not counted
more often than long ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import integer
from ocngame.agents.decider import Decider, act_all, by_group, forget_all
from ocngame.envs import World

__all__ = ["EVALUATION_SEED", "EpisodeReturns", "evaluate", "evaluate_both"]

EVALUATION_SEED = 1_000_003
"""Episodes measured along a run start alike in every run, unlike those of the training."""


@dataclass(frozen=True)
class EpisodeReturns:
    """Undiscounted returns of E episodes.

    Attributes:
        by_group: Per group [E, A], the sum of each agent's rewards.
        by_team: Per team [E], the mean over the team's agents.
        lengths: [E], steps.
    """

    by_group: dict[str, Tensor]
    by_team: dict[str, Tensor]
    lengths: Tensor

    @property
    def means(self) -> dict[str, float]:
        """Mean return per team."""
        return {team: float(returns.mean()) for team, returns in self.by_team.items()}


def evaluate(
    world: World,
    deciders: Sequence[Decider],
    *,
    episodes: int,
    seed: int,
    deterministic: bool = False,
) -> EpisodeReturns:
    """Play and add up.

    Args:
        world: Its copies play at once.
        deciders: One for every group.
        episodes: At least so many; rounded up to a multiple of the copies.
        seed: Of the starts and of the draws.
        deterministic: The most probable actions instead of drawn ones.

    Returns:
        The returns, in the order of copies within each round of episodes.
    """
    integer("episodes", episodes, low=1)
    each = -(-episodes // world.batch_size)
    by_group(world, deciders)
    unique = list(dict.fromkeys(deciders))
    memories = [decider.start(world) for decider in unique]
    generator = torch.Generator(world.device).manual_seed(seed)
    moment = world.reset(seed)
    copies = range(world.batch_size)
    running = {
        g.name: torch.zeros_like(moment.acting[g.name], dtype=world.dtype) for g in world.groups
    }
    steps = torch.zeros(world.batch_size, dtype=torch.long, device=world.device)
    count = torch.zeros_like(steps)
    kept: dict[str, list[list[Tensor]]] = {g.name: [[] for _ in copies] for g in world.groups}
    lengths: list[list[int]] = [[] for _ in copies]
    with torch.no_grad():
        while bool((count < each).any()):
            actions = act_all(unique, moment, memories, generator, deterministic=deterministic)
            transition = world.step(actions)
            steps += 1
            for name, total in running.items():
                total += transition.rewards[name]
            for b in torch.nonzero(transition.over).flatten().tolist():
                if int(count[b]) < each:
                    for name, total in running.items():
                        kept[name][b].append(total[b].clone())
                    lengths[b].append(int(steps[b]))
                for total in running.values():
                    total[b] = 0
                steps[b] = 0
                count[b] += 1
            forget_all(unique, memories, transition.over)
            moment = transition.next
    by_name = {
        name: torch.stack([rows[b][e] for e in range(each) for b in copies])
        for name, rows in kept.items()
    }
    teams = dict.fromkeys(group.team for group in world.groups)
    by_team = {
        team: torch.cat([by_name[g.name] for g in world.groups if g.team == team], 1).mean(1)
        for team in teams
    }
    order = torch.tensor([lengths[b][e] for e in range(each) for b in copies])
    return EpisodeReturns(by_name, by_team, order)


def evaluate_both(
    world: World, deciders: Sequence[Decider], *, episodes: int, seed: int
) -> tuple[EpisodeReturns, EpisodeReturns]:
    """Play twice from the same starts and add up.

    Args:
        world: Its copies play at once.
        deciders: One for every group.
        episodes: At least so many each time.
        seed: Of the starts and of the draws.

    Returns:
        The returns of drawn actions and of the most probable ones.
    """
    drawn, most = (
        evaluate(world, deciders, episodes=episodes, seed=seed, deterministic=deterministic)
        for deterministic in (False, True)
    )
    return drawn, most
