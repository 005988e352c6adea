"""Deciders: what acts in an environment."""

from ocngame.agents.decider import Decider, by_group
from ocngame.agents.evaluation import EpisodeReturns, evaluate
from ocngame.agents.random import RandomDecider

__all__ = ["Decider", "EpisodeReturns", "RandomDecider", "by_group", "evaluate"]
