"""The learner of a group: from a segment of play to better policies and critics.

An update values the segment with the critic as it is, takes the returns into the critic's scale,
and makes several passes of minibatches over policy and critic. A pass that leaves the policy
farther from where it started than the settings allow is the policy's last in this update.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ocngame.agents.networks import Critic, Policy
from ocngame.agents.policy_gradient.advantages import Advantages, generalised_advantages
from ocngame.agents.policy_gradient.descent import Descent
from ocngame.agents.policy_gradient.passes import Pass
from ocngame.agents.policy_gradient.samples import Layout, Samples
from ocngame.agents.policy_gradient.segment import GroupSegment, Segment
from ocngame.agents.policy_gradient.surrogate import critic_loss, policy_loss
from ocngame.envs import Group
from ocngame.errors import NonFiniteError
from ocngame.training.marl_config import SurrogateSettings

__all__ = ["GroupLearner", "UpdateReport"]


@dataclass(frozen=True, kw_only=True)
class UpdateReport:
    """What an update did.

    Attributes:
        entropy: Mean entropy in the last pass.
        divergence: From the policy before the update, in the last pass.
        clipped: Part of the ratios beyond the clip in the last pass.
        critic_loss: Mean loss in the last pass, in the critic's units.
        explained: Part of the variance of the returns that the critic knew before.
        passes: Passes of the policy.
        refused: Steps that were refused so far, of policy and critic.
    """

    entropy: float
    divergence: float
    clipped: float
    critic_loss: float
    explained: float
    passes: int
    refused: int


class GroupLearner:
    """Policy, critic, and who trains them.

    Attributes:
        group: The agents.
        policy: Their policy.
        critic: Their critic.
        memory: Of the critic, before the next segment [B, A, H].
    """

    def __init__(
        self,
        group: Group,
        policy: Policy,
        critic: Critic,
        passes: tuple[Pass, Pass],
        descents: tuple[Descent, Descent],
        settings: SurrogateSettings,
        *,
        layout: Layout,
        epochs: int,
        minibatches: int,
        copies: int,
    ):
        """Put the parts together.

        Args:
            group: The agents.
            policy: Their policy.
            critic: Their critic.
            passes: Through policy and critic, as samples lie.
            descents: Of policy and critic.
            settings: Of the surrogate.
            layout: Of the samples.
            epochs: Passes over a segment.
            minibatches: Steps per pass.
            copies: B.
        """
        self.group, self.policy, self.critic = group, policy, critic
        self._passes, self._descents = passes, descents
        self._settings, self._layout = settings, layout
        self._epochs, self._minibatches = epochs, minibatches
        size, device = critic.body.memory_size, next(critic.parameters()).device
        self.memory = torch.zeros(copies, len(group.agents), size, device=device)

    def update(self, segment: Segment, generator: torch.Generator, scale: float) -> UpdateReport:
        """Learn from a segment.

        Args:
            segment: What happened.
            generator: For the order of the samples.
            scale: Of the optimizers' steps.

        Returns:
            What was done.

        Raises:
            NonFiniteError: if rewards or values are not finite; nothing is changed then.
        """
        own = segment.groups[self.group.name]
        for descent in self._descents:
            descent.scale(scale)
        critic_memory = self.memory
        samples, explained = self._prepare(segment, own)
        numbers = torch.zeros(5)
        passes, going, axis = 0, True, 1 if self._layout.sequences else 0
        for _ in range(self._epochs):
            sums = torch.zeros(5)
            batches = samples.minibatches(self._minibatches, axis, generator)
            for batch, chosen in batches:
                if self._layout.sequences and chosen is not None:
                    over = segment.over[:, chosen]
                    memories = own.memory[chosen], critic_memory[chosen]
                else:
                    over, memories = segment.over, (own.memory, critic_memory)
                if going:
                    sums[:3] += self._step_policy(batch, over, memories[0])
                sums[3] += self._step_critic(batch, over, memories[1])
                sums[4] += 1
            means = sums / sums[4]
            numbers = means if going else torch.cat([numbers[:3], means[3:]])
            passes += going
            limit = self._settings.divergence
            going = going and not 0 < limit < float(means[1])
        self._learn_observations(segment, own)
        entropy, divergence, clipped, loss, _ = numbers.tolist()
        return UpdateReport(
            entropy=entropy,
            divergence=divergence,
            clipped=clipped,
            critic_loss=loss,
            explained=explained,
            passes=passes,
            refused=sum(descent.refused for descent in self._descents),
        )

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on."""
        policy, critic = self._descents
        return {
            "policy": self.policy.state_dict(),
            "critic": self.critic.state_dict(),
            "policy_descent": policy.state_dict(),
            "critic_descent": critic.state_dict(),
            "memory": self.memory,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave.

        Args:
            state: It.
        """
        policy, critic = self._descents
        self.policy.load_state_dict(state["policy"])
        self.critic.load_state_dict(state["critic"])
        policy.load_state_dict(state["policy_descent"])
        critic.load_state_dict(state["critic_descent"])
        self.memory = state["memory"]

    @torch.no_grad()
    def _prepare(self, segment: Segment, own: GroupSegment) -> tuple[Samples, float]:
        critic, settings = self.critic, self._settings
        critic_x = critic.inputs(*critic.parts(own.observations, segment.states))
        outputs, memories = critic.body.sequence(critic_x, self.memory, segment.over)
        values = critic.to_returns(outputs.squeeze(-1))
        found = generalised_advantages(
            rewards=own.rewards,
            values=values,
            reached=self._reached(segment, own, memories),
            acting=own.acting,
            acts_next=own.acts_next,
            terminated=own.terminated,
            truncated=own.truncated,
            discount=settings.discount,
            decay=settings.decay,
        )
        returns = found.returns[found.valid]
        if not bool(torch.isfinite(returns).all()):
            raise NonFiniteError(
                f"segment: expected finite rewards and values of group {self.group.name!r}, "
                "got NaN or infinity"
            )
        explained = _explained(values[found.valid], returns)
        self.memory = torch.where(segment.over[-1][:, None, None], 0.0, memories[-1])
        critic.learn_scale(returns)
        samples = Samples(
            x=self.policy.inputs(own.observations),
            critic_x=critic_x,
            masks=own.masks,
            choices=own.choices,
            old=self.policy.head.score(own.outputs, own.choices)[0],
            advantages=_normalised(found, settings.advantages),
            values=critic.from_returns(values),
            targets=critic.from_returns(found.returns),
            weight=None,
        )
        return samples.laid_out(self._layout, found.valid), explained

    def _reached(self, segment: Segment, own: GroupSegment, memories: Tensor) -> Tensor:
        critic = self.critic
        values = torch.zeros_like(own.rewards)
        for t, observations in own.reached.items():
            x = critic.inputs(*critic.parts(observations, segment.reached[t]))
            outputs, _ = critic.body.advance(x, memories[t])
            values[t] = critic.to_returns(outputs.squeeze(-1))
        return values

    def _step_policy(self, batch: Samples, over: Tensor, memory: Tensor) -> Tensor:
        settings, run, told = self._settings, self._passes[0], []

        def closure() -> Tensor:
            outputs = run(batch.x, batch.masks, memory, over)
            loss = policy_loss(
                self.policy.head,
                run.turned(outputs),
                batch.choices,
                batch.old,
                batch.advantages,
                batch.weight,
                clip=settings.clip,
                entropy=settings.entropy,
            )
            told.append(torch.stack([loss.entropy, loss.divergence, loss.clipped]))
            return loss.loss

        self._descents[0].step(closure, _turned(run, batch.weight))
        return told[0].cpu()

    def _step_critic(self, batch: Samples, over: Tensor, memory: Tensor) -> Tensor:
        run, told = self._passes[1], []

        def closure() -> Tensor:
            outputs = run(batch.critic_x, None, memory, over)
            loss = critic_loss(
                run.turned(outputs).squeeze(-1),
                batch.values,
                batch.targets,
                batch.weight,
                clip=self._settings.value_clip,
            )
            told.append(loss.detach())
            return loss

        self._descents[1].step(closure, _turned(run, batch.weight))
        return told[0].cpu()

    def _learn_observations(self, segment: Segment, own: GroupSegment) -> None:
        self.policy.inputs.learn(own.acting, own.observations)
        parts = self.critic.parts(own.observations, segment.states)
        self.critic.inputs.learn(own.acting, *parts)


def _turned(run: Pass, weight: Tensor | None) -> Tensor | None:
    return None if weight is None else run.turned(weight)


def _explained(values: Tensor, returns: Tensor) -> float:
    if len(returns) < 2:
        return float("nan")
    variance = returns.var()
    return float(1 - (returns - values).var() / variance) if variance > 0 else float("nan")


def _normalised(found: Advantages, over: str) -> Tensor:
    if over == "none":
        return found.advantages
    dims = (0, 1) if over == "agent" else (0, 1, 2)
    weight = found.valid.to(found.advantages)
    count = weight.sum(dims, keepdim=True).clamp_min(1.0)
    mean = (found.advantages * weight).sum(dims, keepdim=True) / count
    centred = (found.advantages - mean) * weight
    deviation = (centred.square().sum(dims, keepdim=True) / count).sqrt()
    return centred / (deviation + 1e-8)
