"""The multi-agent job: collect, update, measure; stopped and resumed.

A step is one segment of play in all copies and one update of every group on it. What it does
follows from what a checkpoint holds (networks, optimizers, world, memories, generators), so a run
resumed from a checkpoint is bitwise equal to one never stopped. A world that cannot be copied
within an episode starts anew at every checkpoint, in both.
"""

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ocngame.agents.decider import Decider
from ocngame.agents.evaluation import EVALUATION_SEED, EpisodeReturns, evaluate
from ocngame.agents.policy_gradient.collector import Collector, EpisodeSums
from ocngame.agents.policy_gradient.decider import PolicyDecider
from ocngame.agents.policy_gradient.learner import UpdateReport
from ocngame.agents.policy_gradient.make import make_learners, make_policies
from ocngame.agents.training.coupled import CoupledTeams
from ocngame.agents.training.pictures import draw_returns
from ocngame.agents.training.rows import MarlRow, read_marl_rows
from ocngame.agents.training.worlds import WorldMaker, make_world
from ocngame.envs import World
from ocngame.training.job import Job, read_run
from ocngame.training.marl_config import MarlConfig, marl_config_from_dict
from ocngame.training.run_folder import RunFolder

__all__ = ["MarlJob"]

_FORMAT = 1


class MarlJob(Job[MarlRow]):
    """A multi-agent run between two of its steps.

    Attributes:
        config: Its settings.
        world: Its world.
        learners: Per group; none for coupled players.
        coupled: Who moves coupled players, else None.
        policies: Per group.
        collector: Plays; None for coupled players, whose moves begin with plays of their own.
        step: Number of updates made.
        folder: Where its files are, None if it is not kept.
    """

    def __init__(self, config: MarlConfig, make: WorldMaker = make_world):
        """Make the world and the learners.

        Args:
            config: Settings.
            make: Makes a world by name, copies and device.
        """
        super().__init__(config)
        torch.set_num_threads(config.threads)
        self._make = make
        self.world = make(config.world, config.copies, config.device)
        together = config.optimizer == "coupled"
        self.learners = {} if together else make_learners(self.world, config)
        self.policies = {name: learner.policy for name, learner in self.learners.items()}
        if together:
            self.policies = make_policies(self.world, config)
        self.collector, self.coupled = None, None
        if together:
            self.coupled = CoupledTeams(self.world, self.policies, config)
        else:
            self.collector = Collector(self.world, self.policies, config.seed)
        self.cpu_seconds = 0.0
        self._measured: World | None = None
        self._reports: dict[str, UpdateReport] = {}
        self._moved: dict[str, float] = {}

    @classmethod
    def start(cls, config: MarlConfig, path: Path, make: WorldMaker = make_world) -> "MarlJob":
        """Start a run that is kept in a new folder.

        Args:
            config: Settings.
            path: The folder.
            make: Makes a world by name, copies and device.

        Returns:
            The job before its first step.
        """
        job = cls(config, make)
        job.keep(path)
        return job

    @classmethod
    def resume(cls, path: Path, make: WorldMaker = make_world) -> "MarlJob":
        """Go back to the last whole checkpoint of a run.

        Args:
            path: The run folder.
            make: Makes a world by name, copies and device.

        Returns:
            The job at that checkpoint.

        Raises:
            CheckpointError: if no checkpoint can be read or it does not belong to the settings.
        """
        config, content = read_run(path, marl_config_from_dict, _FORMAT)
        job = cls(config, make)
        job.folder = RunFolder(path)
        for name, learner in job.learners.items():
            learner.load_state_dict(content["learners"][name])
        if job.collector is not None:
            job.collector.load_state_dict(content["collector"])
        if job.coupled is not None:
            job.coupled.load_state_dict(content["coupled"])
        job._reports = {name: UpdateReport(**r) for name, r in content["reports"].items()}
        job.step, job.cpu_seconds = content["step"], content["cpu_seconds"]
        job._metrics_size = content["metrics_size"]
        return job

    @property
    def total_steps(self) -> int:
        """Number of updates of the whole run."""
        return self.config.updates

    @property
    def frames(self) -> int:
        """Frames so far."""
        return self.step * self.config.frames_per_update

    def deciders(self) -> list[Decider]:
        """Give the policies as they are.

        Returns:
            One decider for every team.
        """
        teams: dict[str, dict] = {}
        for group in self.world.groups:
            teams.setdefault(group.team, {})[group.name] = self.policies[group.name]
        name = f"{self.config.algorithm} {self.config.optimizer}"
        return [PolicyDecider(name, policies) for policies in teams.values()]

    def make_world(self, name: str) -> World:
        """Make a world to measure in.

        Args:
            name: Its name.

        Returns:
            The world, to be closed by the caller.
        """
        return self._make(name, self.config.evaluation_copies, self.config.device)

    def measured_world(self) -> World:
        """Give the world that measured returns are of, as in the settings.

        Returns:
            The world, closed with the job.
        """
        if self._measured is None:
            self._measured = self.make_world(self.config.evaluation or self.config.world)
        return self._measured

    def measure(
        self, episodes: int | None = None, *, deterministic: bool, world: World | None = None
    ) -> EpisodeReturns:
        """Play episodes that start alike in every run.

        Args:
            episodes: Their number; as in the settings if None.
            deterministic: Whether the most probable actions are taken.
            world: To play in; that of the settings if None.

        Returns:
            Their returns.
        """
        return evaluate(
            self.measured_world() if world is None else world,
            self.deciders(),
            episodes=self.config.episodes if episodes is None else episodes,
            seed=EVALUATION_SEED,
            deterministic=deterministic,
        )

    def draw(self) -> list[str]:
        """Draw the pictures of the run into its folder.

        Returns:
            Their names.
        """
        folder = self.folder
        if folder is None:
            return []
        rows = read_marl_rows(folder.metrics)
        folder.draw(folder.curves, lambda path: draw_returns(rows, path))
        return [folder.curves.name]

    def close(self) -> None:
        """Free what the worlds hold."""
        for world in (self.world, self._measured):
            if world is not None:
                world.close()
        self._measured = None

    def _advance(self) -> list[MarlRow]:
        start = time.process_time()
        linear = self.config.schedule == "linear"
        scale = 1.0 - self.step / self.total_steps if linear else 1.0
        if self.coupled is not None:
            self._moved = self.coupled.update(scale)
        if self.collector is not None:
            segment = self.collector.collect(self.config.steps)
            generator = self.collector.generator
            self._reports = {
                name: learner.update(segment, generator, scale)
                for name, learner in self.learners.items()
            }
        self.step += 1
        self.cpu_seconds += time.process_time() - start
        if self.step % self.config.evaluate_every != 0 and not self.finished:
            return []
        return self._rows()

    def _rows(self) -> list[MarlRow]:
        drawn = self.measure(deterministic=False).means
        most = self.measure(deterministic=True).means
        ended = EpisodeSums() if self.collector is None else self.collector.take_ended()
        teams = dict.fromkeys(group.team for group in self.world.groups)
        details = self._moved | {
            f"{name}/{key}": float(value)
            for name, report in self._reports.items()
            for key, value in asdict(report).items()
        }
        team_of = {group.name: group.team for group in self.world.groups}
        return [
            MarlRow(
                step=self.step,
                frames=self.frames,
                team=team,
                play=_ratio(ended.totals.get(team, math.nan), ended.episodes),
                drawn=drawn[team],
                deterministic=most[team],
                length=_ratio(ended.steps, ended.episodes),
                cpu_seconds=self.cpu_seconds,
                details={k: v for k, v in details.items() if team_of[k.rsplit("/", 1)[0]] == team},
            )
            for team in teams
        ]

    def _checkpoint(self, metrics_size: int) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "config": self.config.as_dict(),
            "step": self.step,
            "cpu_seconds": self.cpu_seconds,
            "metrics_size": metrics_size,
            "learners": {name: learner.state_dict() for name, learner in self.learners.items()}
            or {name: {"policy": policy.state_dict()} for name, policy in self.policies.items()},
            "coupled": None if self.coupled is None else self.coupled.state_dict(),
            "collector": None if self.collector is None else self.collector.state_dict(),
            "reports": {name: asdict(report) for name, report in self._reports.items()},
        }


def _ratio(total: float, count: int) -> float:
    return total / count if count else math.nan
