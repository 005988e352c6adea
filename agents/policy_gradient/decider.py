"""Trained policies as a decider."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ocngame.agents.decider import Decider
from ocngame.agents.networks import Policy
from ocngame.agents.networks.categorical import CategoricalHead
from ocngame.envs import Moment, World
from ocngame.errors import InvalidInputError

__all__ = ["PolicyDecider"]


class PolicyDecider(Decider):
    """Plays the groups of a team by their policies.

    Its memory is a tensor [B, A, H] for every group.
    """

    def __init__(self, name: str, policies: Mapping[str, Policy]):
        """Keep the policies.

        Args:
            name: As tables show it.
            policies: Per group.
        """
        self.name, self.groups = name, tuple(policies)
        self._policies = dict(policies)

    def start(self, world: World) -> object:
        """Give empty memories; see `Decider.start`.

        Args:
            world: The world to play in.

        Returns:
            Per group [B, A, H].

        Raises:
            InvalidInputError: if the world has other groups, observations or agents.
        """
        groups = {group.name: group for group in world.groups}
        memories = {}
        for name, policy in self._policies.items():
            if name not in groups:
                raise InvalidInputError(
                    f"world: {self.name} plays group {name!r}, {world.name} has {list(groups)}"
                )
            group = groups[name]
            expected = policy.agents, policy.observation_size
            found = len(group.agents), group.observation_size
            if expected != found:
                raise InvalidInputError(
                    f"world: {self.name} plays {expected[0]} agents with observations of size "
                    f"{expected[1]} in group {name!r}, {world.name} has {found[0]} of {found[1]}"
                )
            size = policy.body.memory_size
            memories[name] = torch.zeros(world.batch_size, found[0], size, device=world.device)
        return memories

    @torch.no_grad()
    def act(
        self,
        moment: Moment,
        memory: object,
        generator: torch.Generator,
        *,
        deterministic: bool = False,
    ) -> tuple[dict[str, Tensor], object]:
        """Choose by the policies; see `Decider.act`.

        Args:
            moment: What is known.
            memory: From `start` or the last call.
            generator: For the draws.
            deterministic: The most probable choices.

        Returns:
            Actions per group, and the new memory.
        """
        memories = memory if isinstance(memory, dict) else {}
        actions, kept = {}, {}
        for name, policy in self._policies.items():
            observations = moment.observations[name].float()
            outputs, kept[name] = policy.advance(
                observations, memories[name], moment.masks.get(name)
            )
            head = policy.head
            choice = head.most_probable(outputs) if deterministic else head.draw(outputs, generator)
            actions[name] = head.to_world(choice)
        return actions, kept

    def forget(self, memory: object, over: Tensor) -> object:
        """Empty the memories of copies whose episode is over; see `Decider.forget`.

        Args:
            memory: From the last call of `act`.
            over: [B], bool.

        Returns:
            The memory for the next call.
        """
        if not isinstance(memory, dict):
            return memory
        return {
            name: torch.where(over[:, None, None], 0.0, own) if own.shape[-1] else own
            for name, own in memory.items()
        }

    @torch.no_grad()
    def probabilities(self, group: str, observations: Tensor, mask: Tensor) -> Tensor:
        """Give the policy's probabilities; see `Mixed.probabilities`.

        Args:
            group: A group of one agent with one discrete action.
            observations: [K, O].
            mask: Allowed actions, [K, k], bool.

        Returns:
            [K, k].

        Raises:
            InvalidInputError: if the policy has a memory or another kind of actions.
        """
        policy = self._policies[group]
        if policy.body.memory_size > 0 or policy.agents != 1:
            raise InvalidInputError(
                f"group: expected one agent without memory to have probabilities of, got "
                f"{policy.agents} with a memory of {policy.body.memory_size} in {group!r}"
            )
        head = policy.head
        if not isinstance(head, CategoricalHead) or head.sizes != (mask.shape[-1],):
            raise InvalidInputError(
                f"mask: expected {policy.head.size} columns of one discrete action, as {group!r} "
                f"has, got {mask.shape[-1]}"
            )
        empty = observations.new_zeros(len(observations), 1, 0)
        outputs, _ = policy.advance(observations[:, None].float(), empty, mask[:, None])
        return outputs[:, 0].softmax(-1)
