"""Worlds of two that move in turn: what the player to move sees, in one tensor for both seats."""

from dataclasses import dataclass

import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from ocngame.envs.world import Moment, World
from ocngame.errors import InvalidInputError

__all__ = ["Turn", "require_turns", "turn_of"]


@dataclass(frozen=True)
class Turn:
    """A moment of a turn-based world, from the side of the player to move.

    Attributes:
        observation: [B, O], of the player to move.
        mask: [B, A], bool, its allowed actions.
        seat: [B], 0 or 1: the group to move.
        state: [B, S], of the world.
    """

    observation: Tensor
    mask: Tensor
    seat: Tensor
    state: Tensor


def turn_of(world: World, moment: Moment) -> Turn:
    """Look at a moment from the side of the player to move.

    Args:
        world: A world that `require_turns` accepts.
        moment: What is known.

    Returns:
        The turn.

    Raises:
        InvalidInputError: if not exactly one player is to move in a copy.
    """
    first, second = (group.name for group in world.groups)
    acts = moment.acting[second][:, 0]
    if bool((acts == moment.acting[first][:, 0]).any()):
        b = int((acts == moment.acting[first][:, 0]).nonzero()[0])
        raise InvalidInputError(
            f"world: expected exactly one of {first!r} and {second!r} to move in every copy of "
            f"{world.name!r}, got both or none in copy {b}"
        )
    second_moves = acts[:, None]
    views = (moment.observations[name][:, 0] for name in (first, second))
    observation = torch.where(~second_moves, *views)
    if first in moment.masks:
        mask = torch.where(~second_moves, *(moment.masks[name][:, 0] for name in (first, second)))
    else:
        space = world.groups[0].action_space
        actions = int(space.n) if isinstance(space, Discrete) else 0
        mask = torch.ones(len(acts), actions, dtype=torch.bool, device=acts.device)
    return Turn(observation, mask, acts.long(), moment.state)


def require_turns(world: World) -> None:
    """Require two groups of one agent each, with equal observations and discrete actions.

    Args:
        world: The world.

    Raises:
        InvalidInputError: if it is not so.
    """
    sizes = {(g.observation_size, str(g.action_space), len(g.agents)) for g in world.groups}
    discrete = all(isinstance(group.action_space, Discrete) for group in world.groups)
    if len(world.groups) != 2 or len(sizes) != 1 or not discrete or len(world.groups[0].agents) > 1:
        shown = [(g.name, len(g.agents), str(g.action_space)) for g in world.groups]
        raise InvalidInputError(
            f"world: expected two players of equal observations and discrete actions, each a group "
            f"of its own, got {shown} in {world.name!r}"
        )
