"""Networks of learning agents: heads that turn outputs into actions, and bodies over agents."""

from ocngame.agents.networks.body import Body, FeedForward, Gated
from ocngame.agents.networks.categorical import CategoricalHead
from ocngame.agents.networks.critic import Critic
from ocngame.agents.networks.eyes import Look
from ocngame.agents.networks.gaussian import GaussianHead
from ocngame.agents.networks.head import Head
from ocngame.agents.networks.inputs import AgentInputs
from ocngame.agents.networks.make_head import make_head
from ocngame.agents.networks.policy import Policy
from ocngame.agents.networks.running import RunningMoments

__all__ = [
    "AgentInputs",
    "Body",
    "CategoricalHead",
    "Critic",
    "FeedForward",
    "Gated",
    "GaussianHead",
    "Head",
    "Look",
    "Policy",
    "RunningMoments",
    "make_head",
]
