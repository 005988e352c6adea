"""OCNOpt for policies and critics as network games.

The policy's curvature is the Fisher matrix of its own action distribution, so that the direction is
a natural gradient of the surrogate, and its step is bounded in the divergence from the policy
before. The critic's curvature is that of its squared error, and its step is that of the trust
region, relative to the loss.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ocngame.agents.networks import Critic, Policy
from ocngame.agents.policy_gradient.descent import Descent
from ocngame.curvature import OutputHessian, SquaredErrorHessian
from ocngame.solvers.ocnopt import (
    DivergenceStep,
    FixedDamping,
    OCNOpt,
    OCNOptConfig,
    Rhythm,
    TrustRegionStep,
)
from ocngame.training.marl_config import PolicyOCNOptSettings

__all__ = ["OCNOptDescent", "critic_descent", "policy_descent"]


class OCNOptDescent(Descent):
    """OCNOpt on one network."""

    def __init__(self, network: nn.Module, config: OCNOptConfig, hessian: OutputHessian, seed: int):
        """Build the network's game.

        Args:
            network: Feedforward, shared by the agents.
            config: Settings.
            hessian: Curvature of the outputs.
            seed: Of the random columns.
        """
        self._optimizer = OCNOpt(
            network, config=config, hessian=hessian, seed=seed, weight_decay=0.0
        )

    def step(self, closure: Callable[[], Tensor]) -> bool:
        """Make a step; see `Descent.step`."""
        info = self._optimizer.step(closure)
        self.refused += not info.accepted
        return info.accepted

    def scale(self, factor: float) -> None:
        """Scale the learning rate; see `Descent.scale`."""
        for group in self._optimizer.param_groups:
            group["lr"] = factor

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on."""
        return {"optimizer": self._optimizer.state_dict(), "refused": self.refused}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave; see `Descent.load_state_dict`."""
        self._optimizer.load_state_dict(state["optimizer"])
        self.refused = state["refused"]


def policy_descent(policy: Policy, settings: PolicyOCNOptSettings, seed: int) -> OCNOptDescent:
    """Make the optimizer of a policy.

    Args:
        policy: The policy.
        settings: Of OCNOpt.
        seed: Of the random columns.

    Returns:
        The optimizer.
    """
    config = OCNOptConfig(
        step=DivergenceStep(divergence=settings.divergence),
        damping=FixedDamping(damping=settings.damping),
        rhythm=Rhythm(measure_every=settings.measure_every),
    )
    return OCNOptDescent(policy, config, policy.head.fisher(), seed)


def critic_descent(critic: Critic, settings: PolicyOCNOptSettings, seed: int) -> OCNOptDescent:
    """Make the optimizer of a critic.

    Args:
        critic: The critic.
        settings: Of OCNOpt.
        seed: Of the random columns.

    Returns:
        The optimizer.
    """
    config = OCNOptConfig(
        step=TrustRegionStep(fraction=settings.critic_fraction),
        damping=FixedDamping(damping=settings.damping),
        rhythm=Rhythm(measure_every=settings.measure_every),
    )
    return OCNOptDescent(critic, config, SquaredErrorHessian(scale=1.0), seed)
