"""The agent that chooses uniformly among the allowed actions: the floor of every comparison."""

from collections.abc import Sequence

import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from torch import Tensor

from ocngame.agents.decider import Decider
from ocngame.envs import Group, Moment, mask_parts
from ocngame.errors import InvalidInputError

__all__ = ["RandomDecider"]


class RandomDecider(Decider):
    """Chooses uniformly, `deterministic` or not."""

    def __init__(self, groups: Sequence[Group]):
        """Play some groups.

        Args:
            groups: Groups of the world.
        """
        self.name = "random"
        self.groups = tuple(group.name for group in groups)
        self._all = tuple(groups)

    def act(
        self,
        moment: Moment,
        memory: object,
        generator: torch.Generator,
        *,
        deterministic: bool = False,
    ) -> tuple[dict[str, Tensor], object]:
        """Choose uniformly; see `Decider.act`.

        Args:
            moment: What is known.
            memory: Not used.
            generator: For the draws.
            deterministic: Not used.

        Returns:
            Actions per group, and the memory unchanged.

        Raises:
            InvalidInputError: if the actions of a group are of a kind that no world has.
        """
        return {group.name: _draw(group, moment, generator) for group in self._all}, memory

    def probabilities(self, group: str, observations: Tensor, mask: Tensor) -> Tensor:
        """Give all allowed actions the same probability; see `Mixed.probabilities`.

        Args:
            group: Not used.
            observations: Not used.
            mask: Allowed actions, [K, k], bool.

        Returns:
            [K, k].
        """
        return mask.double() / mask.sum(-1, keepdim=True)


def _draw(group: Group, moment: Moment, generator: torch.Generator) -> Tensor:
    acting = moment.acting[group.name]
    space, where = group.action_space, acting.device
    if isinstance(space, Box):
        observations = moment.observations[group.name]
        low = torch.as_tensor(space.low, dtype=observations.dtype, device=where).flatten()
        high = torch.as_tensor(space.high, dtype=observations.dtype, device=where).flatten()
        u = torch.rand(
            (*acting.shape, len(low)), generator=generator, dtype=observations.dtype, device=where
        )
        return low + (high - low) * u
    mask = moment.masks.get(group.name)
    if isinstance(space, MultiDiscrete):
        if mask is not None:
            u = torch.rand(mask.shape, generator=generator, device=where)
            parts = mask_parts(torch.where(mask, u, -1.0), space)
            return torch.stack([part.argmax(-1) for part in parts], -1)
        sizes = torch.as_tensor(space.nvec, device=where)
        u = torch.rand((*acting.shape, len(sizes)), generator=generator, device=where)
        return (u * sizes).long()
    if not isinstance(space, Discrete):
        raise InvalidInputError(f"groups: {group.name!r}: expected Discrete actions, got {space}")
    size = int(space.n)
    u = torch.rand((*acting.shape, size), generator=generator, device=where)
    if mask is not None:
        # Agents that do not act may have no allowed action; theirs is ignored.
        u = torch.where(mask, u, -1.0)
    return u.argmax(-1)
