"""A network that plays any seat of a turn-based world."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ocngame.agents.decider import Decider
from ocngame.agents.selfplay.networks import masked_log_softmax
from ocngame.envs import Group, Moment

__all__ = ["PolicyDecider"]


class PolicyDecider(Decider):
    """Plays by the logits of a network of each agent's observation."""

    def __init__(self, name: str, policy: nn.Module, groups: Sequence[Group]):
        """Play some groups with one network.

        Args:
            name: As tables show it.
            policy: Logits [.., A] of observations [.., O].
            groups: Groups with discrete actions.
        """
        self.name = name
        self.groups = tuple(group.name for group in groups)
        self._policy = policy

    def seated(self, groups: Sequence[Group]) -> "PolicyDecider":
        """Let the same network play some groups only.

        Args:
            groups: Groups with discrete actions.

        Returns:
            The decider.
        """
        return PolicyDecider(self.name, self._policy, groups)

    @torch.no_grad()
    def act(
        self,
        moment: Moment,
        memory: object,
        generator: torch.Generator,
        *,
        deterministic: bool = False,
    ) -> tuple[dict[str, Tensor], object]:
        """Choose; see `Decider.act`.

        Args:
            moment: What is known.
            memory: Not used.
            generator: For the draws.
            deterministic: The most probable action instead of a drawn one.

        Returns:
            Actions per group, and the memory unchanged.
        """
        actions: dict[str, Tensor] = {}
        for name in self.groups:
            logits = self._policy(moment.observations[name])
            mask = moment.masks.get(name)
            if mask is not None:
                logits = masked_log_softmax(logits, mask)
            if deterministic:
                actions[name] = logits.argmax(-1)
                continue
            p = logits.softmax(-1)
            drawn = torch.multinomial(p.flatten(0, -2), 1, generator=generator)
            actions[name] = drawn.view(p.shape[:-1])
        return actions, memory

    @torch.no_grad()
    def probabilities(self, group: str, observations: Tensor, mask: Tensor) -> Tensor:
        """Give the network's probabilities; see `Mixed.probabilities`.

        Args:
            group: Not used: all have the same network.
            observations: [K, O].
            mask: Allowed actions, [K, k], bool.

        Returns:
            [K, k].
        """
        return masked_log_softmax(self._policy(observations), mask).exp()
