"""The self-play job: play, learn, measure; stopped and resumed bitwise."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gymnasium.spaces import Discrete
from torch import Tensor, nn

from ocngame.agents.evaluation import evaluate
from ocngame.agents.random import RandomDecider
from ocngame.agents.selfplay.decider import PolicyDecider
from ocngame.agents.selfplay.league import League
from ocngame.agents.selfplay.learner import LearnerInfo, SelfPlayLearner
from ocngame.agents.selfplay.networks import masked_log_softmax
from ocngame.agents.selfplay.pictures import draw_selfplay_curves
from ocngame.agents.selfplay.rollout import Rollout
from ocngame.agents.selfplay.rows import SelfPlayRow, read_selfplay_rows
from ocngame.agents.selfplay.worlds import make_turn_world
from ocngame.envs import World
from ocngame.envs.cards import TreeWorld
from ocngame.envs.turns import require_turns
from ocngame.equilibria import exploitability
from ocngame.training.job import Job, read_run
from ocngame.training.run_folder import RunFolder
from ocngame.training.selfplay_config import SelfPlayConfig, selfplay_config_from_dict

__all__ = ["SelfPlayJob", "load_selfplay_decider"]

_FORMAT = 2


class SelfPlayJob(Job[SelfPlayRow]):
    """A self-play run between two iterations.

    Attributes:
        config: Its settings.
        world: Copies of the world.
        learner: Who plays and learns.
        league: Past policies.
        step: Number of iterations made.
        folder: Where its files are, None if it is not kept.
    """

    def __init__(self, config: SelfPlayConfig):
        """Make world and learner.

        Args:
            config: Settings.
        """
        super().__init__(config)
        self.world = make_turn_world(config.world, config.copies)
        require_turns(self.world)
        self.learner = _learner(self.world, config)
        self.league = League(config.league, self.learner.policy)
        self._rollout = Rollout(self.world, self.league, config.seed)
        self.cpu_seconds = 0.0

    @classmethod
    def start(cls, config: SelfPlayConfig, path: Path) -> "SelfPlayJob":
        """Start a run that is kept in a new folder.

        Args:
            config: Settings.
            path: The folder.

        Returns:
            The job before its first iteration.
        """
        job = cls(config)
        job.keep(path)
        return job

    @classmethod
    def resume(cls, path: Path) -> "SelfPlayJob":
        """Go back to the last whole checkpoint of a run.

        Args:
            path: The run folder.

        Returns:
            The job at that checkpoint.
        """
        folder = RunFolder(path)
        config, content = read_run(path, selfplay_config_from_dict, _FORMAT)
        job = cls(config)
        job.folder = folder
        job.learner.load_state_dict(content["learner"])
        job.league.load_state_dict(content["league"])
        job._rollout.load_state_dict(content["rollout"])
        job.step, job.cpu_seconds = content["step"], content["cpu_seconds"]
        job._metrics_size = content["metrics_size"]
        return job

    @property
    def total_steps(self) -> int:
        """Number of iterations of the whole run."""
        return self.config.iterations

    @property
    def decisions(self) -> int:
        """Decisions made so far."""
        return self.step * self.config.copies * self.config.horizon

    def decider(self) -> PolicyDecider:
        """Give the policy as it is as a decider of both seats.

        Returns:
            The decider, which changes as the run goes on.
        """
        return PolicyDecider("self-play", self.learner.policy, self.world.groups)

    def measure(self, info: LearnerInfo | None = None) -> SelfPlayRow:
        """Measure the policy as it is.

        Args:
            info: Of the last iteration.

        Returns:
            The row.
        """
        config = self.config
        found = newest = magnet = math.nan
        learner = self.learner
        if isinstance(self.world, TreeWorld):
            tree, nets = self.world.tree, (learner.policy, learner.trained, learner.magnet)
            found, newest, magnet = (
                exploitability(tree, tree.policy(_chooser(net))) for net in nets
            )
        world = make_turn_world(config.world, min(config.episodes, 256))
        returns = {}
        for i, group in enumerate(world.groups):
            pair = [
                PolicyDecider("self-play", self.learner.policy, [group]),
                RandomDecider([world.groups[1 - i]]),
            ]
            played = evaluate(world, pair, episodes=config.episodes, seed=config.seed)
            returns[group.name] = played.means[group.team]
        world.close()
        details = info or LearnerInfo(
            critic_loss=math.nan, entropy=math.nan, divergence=math.nan, from_magnet=math.nan
        )
        rates = zip(self.league.born, self.league.rates, strict=True)
        return SelfPlayRow(
            step=self.step,
            decisions=self.decisions,
            exploitability=found,
            trained_exploitability=newest,
            magnet_exploitability=magnet,
            against_random=returns,
            critic_loss=details.critic_loss,
            entropy=details.entropy,
            divergence=details.divergence,
            from_magnet=details.from_magnet,
            rates={str(born): rate for born, rate in rates} if config.league.share else {},
            cpu_seconds=self.cpu_seconds,
        )

    def draw(self) -> list[str]:
        """Draw the curves into the run's folder.

        Returns:
            Names of the pictures.
        """
        if self.folder is None:
            return []
        rows = read_selfplay_rows(self.folder.metrics)
        self.folder.draw(self.folder.curves, lambda path: draw_selfplay_curves(rows, path))
        return [self.folder.curves.name]

    def _advance(self) -> list[SelfPlayRow]:
        before = time.process_time()
        play = self._rollout.play(self.learner, self.config.horizon)
        self.step += 1
        info = self.learner.learn(play, self.step / self.total_steps)
        if self.config.league.share > 0:
            self.league.offer(self.learner.policy, self.step)
        self.cpu_seconds += time.process_time() - before
        if self.step % self.config.evaluate_every != 0 and not self.finished:
            return []
        return [self.measure(info)]

    def _checkpoint(self, metrics_size: int) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "config": self.config.as_dict(),
            "step": self.step,
            "metrics_size": metrics_size,
            "cpu_seconds": self.cpu_seconds,
            "learner": self.learner.state_dict(),
            "league": self.league.state_dict(),
            "rollout": self._rollout.state_dict(),
        }


def load_selfplay_decider(path: Path) -> PolicyDecider:
    """Read the policy of a run as a decider of both seats.

    Args:
        path: The run folder.

    Returns:
        The decider, named by the folder.
    """
    config, content = read_run(path, selfplay_config_from_dict, _FORMAT)
    world = make_turn_world(config.world, 1)
    learner = _learner(world, config)
    learner.load_state_dict(content["learner"])
    return PolicyDecider(path.name, learner.policy, world.groups)


def _chooser(network: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda seen, legal: masked_log_softmax(network(seen), legal).exp()


def _learner(world: World, config: SelfPlayConfig) -> SelfPlayLearner:
    group = world.groups[0]
    actions = int(group.action_space.n) if isinstance(group.action_space, Discrete) else 0
    sizes = (group.observation_size, world.state_size, actions)
    return SelfPlayLearner(*sizes, config.learner, config.seed)
