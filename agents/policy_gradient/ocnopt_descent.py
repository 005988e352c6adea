"""OCNOpt for policies and critics as network games.

The policy's curvature is the Fisher matrix of its own action distribution, so that the direction is
a natural gradient of the surrogate, and its step is bounded in the divergence from the policy
before. The critic's curvature is that of its squared error, and its step is that of the trust
region, relative to the loss.

Every layer is a stage. Separate networks are branches of one game, each with stages of its own; the
bound is on the mean of the agents' divergences. A recurrent network's steps are uses of the same
stages. The free spread of a Gaussian is a stage as well, whose block of the Fisher matrix is 2 I.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ocngame.agents.networks import Head
from ocngame.agents.policy_gradient.counted import CountedHessian
from ocngame.agents.policy_gradient.descent import Descent
from ocngame.agents.policy_gradient.passes import Pass
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

    def __init__(self, network: Pass, config: OCNOptConfig, hessian: OutputHessian, seed: int):
        """Build the network's game.

        Args:
            network: A pass through the network.
            config: Settings.
            hessian: Curvature of the outputs of one action.
            seed: Of the random columns.
        """
        self._hessian = CountedHessian(hessian)
        self._optimizer = OCNOpt(
            network, config=config, hessian=self._hessian, seed=seed, weight_decay=0.0
        )

    def step(self, closure: Callable[[], Tensor], weight: Tensor | None = None) -> bool:
        """Make a step; see `Descent.step`."""
        self._hessian.weight = weight
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


def policy_descent(
    policy: Pass, head: Head, settings: PolicyOCNOptSettings, seed: int
) -> OCNOptDescent:
    """Make the optimizer of a policy.

    Args:
        policy: A pass through the policy.
        head: Its action distribution.
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
    return OCNOptDescent(policy, config, head.fisher(), seed)


def critic_descent(critic: Pass, settings: PolicyOCNOptSettings, seed: int) -> OCNOptDescent:
    """Make the optimizer of a critic.

    Args:
        critic: A pass through the critic.
        settings: Of OCNOpt.
        seed: Of the random columns.

    Returns:
        The optimizer.
    """
    config = OCNOptConfig(
        step=TrustRegionStep(fraction=settings.critic_fraction),
        fade=None,
        damping=FixedDamping(damping=settings.damping),
        rhythm=Rhythm(measure_every=settings.measure_every),
    )
    return OCNOptDescent(critic, config, SquaredErrorHessian(scale=1.0), seed)
