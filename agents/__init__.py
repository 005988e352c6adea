"""Deciders: what acts in an environment."""

from ocngame.agents.decider import Decider, Mixed, by_group
from ocngame.agents.evaluation import EpisodeReturns, evaluate, evaluate_both
from ocngame.agents.greedy import GreedyDecider
from ocngame.agents.line_player import LinePlayer
from ocngame.agents.particle_game import PlannerOptions
from ocngame.agents.planner import NashPlanner, scenario_of
from ocngame.agents.random import RandomDecider

__all__ = [
    "Decider",
    "EpisodeReturns",
    "GreedyDecider",
    "LinePlayer",
    "Mixed",
    "NashPlanner",
    "PlannerOptions",
    "RandomDecider",
    "by_group",
    "evaluate",
    "evaluate_both",
    "scenario_of",
]
