"""What every team would win by its best response to the others, exactly, where that is possible.

Possible are game trees (`ocngame.equilibria.gains_of_deviation`), boards of few fields and repeated
matrix games. Half of the sum of both gains is the exploitability; it is 0 exactly at equilibria,
also where the game is not zero-sum.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ocngame.agents.decider import Decider, Mixed, by_group
from ocngame.agents.exact.boards import board_gains, is_small
from ocngame.agents.exact.matrices import repeated_gains
from ocngame.envs import World
from ocngame.envs.boards import LineWorld
from ocngame.envs.cards import TreeWorld
from ocngame.envs.matrix import RepeatedMatrixWorld
from ocngame.equilibria import gains_of_deviation

__all__ = ["Choose", "exact_gains"]

Choose = Callable[[Tensor, Tensor], Tensor]
"""Probabilities [K, k] from observations [K, O] and allowed actions [K, k]."""


def exact_gains(world: World, deciders: Sequence[Decider]) -> dict[str, float] | None:
    """Compute the gains.

    Args:
        world: The world.
        deciders: One for every group.

    Returns:
        Per team; None where the world is too large, or a decider has no probabilities to tell.
    """
    players = by_group(world, deciders)
    choose: list[Choose] = []
    for group in world.groups:
        decider = players[group.name]
        if not isinstance(decider, Mixed) or len(group.agents) != 1:
            return None
        choose.append(_of(decider, group.name))
    if isinstance(world, TreeWorld):
        tree = world.tree

        def joint(observations: Tensor, legal: Tensor) -> Tensor:
            first, second = (c(observations, legal).double() for c in choose)
            return torch.where((tree.owner == 0)[:, None], first, second)

        gains = gains_of_deviation(tree, tree.policy(joint)).tolist()
    elif isinstance(world, LineWorld) and is_small(world):
        gains = board_gains(world, choose)
    elif isinstance(world, RepeatedMatrixWorld):
        gains = repeated_gains(world, choose)
    else:
        return None
    return {group.team: float(g) for group, g in zip(world.groups, gains, strict=True)}


def _of(decider: Mixed, group: str) -> Choose:
    return lambda observations, mask: decider.probabilities(group, observations, mask)
