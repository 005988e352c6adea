"""Coupled players: the stage game between policies, by mixed second derivatives of returns."""

from ocngame.agents.coupled.learner import CoupledConfig, CoupledLearner
from ocngame.agents.coupled.returns import Plays, differentiable_returns, discounted_to_go

__all__ = [
    "CoupledConfig",
    "CoupledLearner",
    "Plays",
    "differentiable_returns",
    "discounted_to_go",
]
