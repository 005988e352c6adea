"""Self-play with a slow reference policy, and a league of past policies."""

from ocngame.agents.selfplay.decider import PolicyDecider
from ocngame.agents.selfplay.job import SelfPlayJob, load_selfplay_decider
from ocngame.agents.selfplay.league import League
from ocngame.agents.selfplay.learner import LearnerInfo, SelfPlayLearner
from ocngame.agents.selfplay.rollout import Rollout
from ocngame.agents.selfplay.rows import SelfPlayRow, read_selfplay_rows
from ocngame.agents.selfplay.segment import Segment
from ocngame.agents.selfplay.targets import retrace
from ocngame.agents.selfplay.worlds import make_turn_world

__all__ = [
    "League",
    "LearnerInfo",
    "PolicyDecider",
    "Rollout",
    "Segment",
    "SelfPlayJob",
    "SelfPlayLearner",
    "SelfPlayRow",
    "load_selfplay_decider",
    "make_turn_world",
    "read_selfplay_rows",
    "retrace",
]
