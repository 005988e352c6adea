r"""Policy gradient with a magnet: mirror descent towards a regularised equilibrium.

For every decision, with q the action values of the player to move, pi_k the policy that played and
rho a slow reference policy, magnetic mirror descent takes

    pi_{k+1} = argmin over pi of  -<pi, q> + alpha KL(pi, rho) + 1/eta KL(pi, pi_k)

(Sokota et al., 2206.05825, equation 8 and section 4). For a fixed rho its last iterate converges to
the equilibrium of the game regularised towards rho, linearly; letting rho follow the policy slowly
drives the regularisation's bias out, as the outer iteration of regularised Nash dynamics does
(Perolat et al., 2206.15378, section on R-NaD; Perolat et al., 2002.08456). Here rho's weights move
by `rho += tau (pi - rho)` after every iteration.

A single iterate moves about with the noise of its batch and of the critic. The policy that is
learnt is one network whose weights are an average of the iterates', `bar += beta_k (pi_k - bar)`
with `beta_k = (1 + eta) / (k + eta)` (Shamir & Zhang, 1212.1824, section 4): of about the last
`1 / (1 + eta)` of the iterations so far. It is not the average of strategies over a whole run that
fictitious play and counterfactual regret minimisation need.

The policy is a network of what the player sees. The objective is taken over all actions at the
decisions that were played, not over sampled ones alone, with q from a critic Q(s, a) of the state
of the whole world: information that players lack is averaged out by the states that come with an
observation. `ocngame.agents.selfplay.targets` says what the critic is trained towards.

The closed form of the step is
`log pi_{k+1} = (log pi_k + eta q + eta alpha log rho) / (1 + eta alpha) + const`. The objective's
second derivative at pi_k is `(1 / eta + alpha) F` in the logits, but for terms of q and rho that
have no sign, with the Fisher matrix F of the policy. With this curvature OCNOpt takes the policy as
a network game: its uncut step is the closed form to first order, and it is cut where it would
diverge from the policy before by more than the settings allow.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ocngame.agents.selfplay.networks import (
    Allowed,
    ScaledFisher,
    masked_log_softmax,
    perceptron,
)
from ocngame.agents.selfplay.segment import Segment
from ocngame.agents.selfplay.targets import retrace
from ocngame.errors import NonFiniteError
from ocngame.solvers.ocnopt import DivergenceStep, FixedDamping, OCNOpt, OCNOptConfig
from ocngame.training.selfplay_config import LearnerConfig

__all__ = ["LearnerInfo", "SelfPlayLearner"]

_LEAST = 0.05
"""Share of the step sizes that is left at the end of a run."""


@dataclass(frozen=True, kw_only=True)
class LearnerInfo:
    """What an iteration did.

    Attributes:
        critic_loss: Mean squared error to the targets, in units of the payoffs' mean square.
        entropy: Mean entropy of the policy that played, in nats.
        divergence: Mean KL(pi_{k+1}, pi_k).
        from_magnet: Mean KL(pi_{k+1}, rho).
    """

    critic_loss: float
    entropy: float
    divergence: float
    from_magnet: float


class SelfPlayLearner:
    """A policy, its reference and a critic, and how they learn from play.

    Attributes:
        config: Settings.
        trained: Plays and learns: logits [.., A] of observations [.., O].
        policy: What is learnt: the trained policy with its weights averaged over iterations.
        magnet: The reference policy.
        critic: Action values [.., A] of states [.., S + 1], of the player to move.
    """

    def __init__(
        self, observation: int, state: int, actions: int, config: LearnerConfig, seed: int
    ):
        """Make the networks.

        Args:
            observation: O.
            state: S.
            actions: A.
            config: Settings.
            seed: Of weights and of the order of decisions.
        """
        self.config = config
        self._generator = torch.Generator().manual_seed(seed)
        make = (config.width, config.depth, actions, self._generator)
        self.trained = perceptron(observation, *make)
        self.critic = perceptron(state + 1, *make)
        self.policy = copy.deepcopy(self.trained).requires_grad_(False)
        self.magnet = copy.deepcopy(self.policy)
        self._critic_opt = torch.optim.Adam(self.critic.parameters(), config.critic_lr, eps=1e-5)
        self._allowed = Allowed(self.trained)
        self._policy_opt: torch.optim.Adam | OCNOpt
        if config.optimizer == "ocnopt":
            scale = 1 / config.proximal + config.magnet_weight
            self._policy_opt = OCNOpt(
                self._allowed,
                hessian=ScaledFisher(scale=scale),
                config=OCNOptConfig(
                    step=DivergenceStep(divergence=scale * config.divergence),
                    damping=FixedDamping(damping=config.damping),
                ),
                weight_decay=0.0,
                seed=seed,
            )
        else:
            self._policy_opt = torch.optim.Adam(
                self.trained.parameters(), config.policy_lr, eps=1e-5
            )
        self._iterations = 0
        self._scale: float | None = None
        self._replay: list[Segment] = []

    def log_probabilities(self, observations: Tensor, masks: Tensor) -> Tensor:
        """Give the policy that plays.

        Args:
            observations: [.., O].
            masks: [.., A], bool.

        Returns:
            [.., A]; about -1e9 for actions that are not allowed.
        """
        return masked_log_softmax(self.trained(observations), masks)

    def learn(self, play: Segment, progress: float) -> LearnerInfo:
        """Learn from an iteration's play.

        Args:
            play: Played by the present policy.
            progress: Share of the run that is behind, in [0, 1].

        Returns:
            What it did.

        Raises:
            NonFiniteError: if a network gives numbers that are not finite.
        """
        if self._scale is None:
            ends = play.rewards[play.over]
            size = float(ends.square().mean().sqrt()) if len(ends) else 0.0
            self._scale = size if size > 0 else 1.0
        left = max(1.0 - progress, _LEAST) if self.config.decay else 1.0
        self._replay = [*self._replay, play][-self.config.replay :]
        loss = self._learn_critic(left, self._scale)
        info = self._learn_policy(play, left)
        self._iterations += 1
        _follow(self.magnet, self.trained, self.config.magnet_rate)
        eta = self.config.averaging
        _follow(self.policy, self.trained, (1 + eta) / (self._iterations + eta))
        numbers = LearnerInfo(critic_loss=loss, **info)
        if not all(map(_is_finite, (loss, *info.values()))):
            raise NonFiniteError(
                f"self-play: a network gave numbers that are not finite: {numbers}"
            )
        return numbers

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on.

        Returns:
            Plain data and tensors.
        """
        return {
            "iterations": self._iterations,
            "policy": _copy(self.policy),
            "trained": _copy(self.trained),
            "magnet": _copy(self.magnet),
            "critic": _copy(self.critic),
            "policy_opt": self._policy_opt.state_dict(),
            "critic_opt": self._critic_opt.state_dict(),
            "generator": self._generator.get_state(),
            "scale": self._scale,
            "replay": [segment.as_dict() for segment in self._replay],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Args:
            state: It.
        """
        self._iterations = state["iterations"]
        self.policy.load_state_dict(state["policy"])
        self.trained.load_state_dict(state["trained"])
        self.magnet.load_state_dict(state["magnet"])
        self.critic.load_state_dict(state["critic"])
        self._policy_opt.load_state_dict(state["policy_opt"])
        self._critic_opt.load_state_dict(state["critic_opt"])
        self._generator.set_state(state["generator"])
        self._scale = state["scale"]
        self._replay = [Segment(**tensors) for tensors in state["replay"]]

    def _learn_critic(self, left: float, scale: float) -> float:
        for group in self._critic_opt.param_groups:
            group["lr"] = self.config.critic_lr * left
        total, count = torch.zeros(()), 0
        for _ in range(self.config.critic_epochs):
            targets = [self._targets(segment, scale).flatten() for segment in self._replay]
            states = torch.cat([s.states[:-1].flatten(0, 1) for s in self._replay])
            actions = torch.cat([s.actions.flatten() for s in self._replay])[:, None]
            y = torch.cat(targets)
            order = torch.randperm(len(y), generator=self._generator)
            for index in order[: 2 * len(targets[-1])].split(self.config.minibatch):
                found = self.critic(states[index]).gather(1, actions[index])[:, 0]
                loss = (found - y[index]).square().mean()
                self._critic_opt.zero_grad()
                loss.backward()
                self._critic_opt.step()
                total, count = total + loss.detach(), count + 1
        return float(total) / count

    @torch.no_grad()
    def _targets(self, play: Segment, scale: float) -> Tensor:
        """Give the critic's targets in the sign of who moves, [T, B]."""
        now = self.log_probabilities(play.observations, play.masks).exp()
        policy = torch.where(play.learns[..., None], now, play.policies)
        q = self.critic(play.states) * play.signs[..., None]
        y = retrace(
            q,
            policy,
            play.actions,
            play.behaviour,
            play.rewards / scale,
            play.over,
            self.config.trace,
        )
        return y * play.signs[:-1]

    def _learn_policy(self, play: Segment, left: float) -> dict[str, float]:
        mine = play.learns[:-1].flatten()
        o, masks, s = (
            x[:-1].flatten(0, 1)[mine] for x in (play.observations, play.masks, play.states)
        )
        alpha, eta = self.config.magnet_weight, self.config.proximal
        with torch.no_grad():
            old = self.log_probabilities(o, masks)
            rho = masked_log_softmax(self.magnet(o), masks)
            q = self.critic(s)
            q = q - (old.exp() * q).sum(-1, keepdim=True)
        own = self._policy_opt
        for group in own.param_groups:
            group["lr"] = left if isinstance(own, OCNOpt) else self.config.policy_lr * left
        for _ in range(self.config.policy_epochs):
            order = torch.randperm(len(o), generator=self._generator)
            for index in order.split(self.config.minibatch):

                def objective(i: Tensor = index) -> Tensor:
                    log_p = self._allowed(o[i], masks[i]).log_softmax(-1)
                    cost = alpha * (log_p - rho[i]) + (log_p - old[i]) / eta - q[i]
                    return (log_p.exp() * cost).sum(-1).mean()

                if isinstance(own, OCNOpt):
                    own.step(objective)
                    continue
                own.zero_grad()
                objective().backward()
                nn.utils.clip_grad_norm_(self.trained.parameters(), self.config.gradient_norm)
                own.step()
        with torch.no_grad():
            new = self.log_probabilities(o, masks)
            return {
                "entropy": float(-(old.exp() * old).sum(-1).mean()),
                "divergence": float((new.exp() * (new - old)).sum(-1).mean()),
                "from_magnet": float((new.exp() * (new - rho)).sum(-1).mean()),
            }


@torch.no_grad()
def _follow(slow: nn.Module, fast: nn.Module, share: float) -> None:
    for a, b in zip(slow.parameters(), fast.parameters(), strict=True):
        a.lerp_(b, share)


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def _is_finite(number: float) -> bool:
    return abs(number) < float("inf")
