"""A run of coupled players with a folder: stopped and resumed as the other jobs are.

The policies are those of the policy-gradient jobs (a feedforward network that all agents of a group
share, told who acts), so that they are loaded and played alike. A step plays every copy from its
start and moves all groups by one stage game (`ocngame.agents.coupled`).
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ocngame._checks import in_range, integer, positive
from ocngame.agents.coupled import CoupledConfig, CoupledLearner
from ocngame.agents.decider import Decider
from ocngame.agents.evaluation import evaluate
from ocngame.agents.policy_gradient.decider import PolicyDecider
from ocngame.agents.policy_gradient.make import make_policy
from ocngame.agents.training import MarlRow, read_marl_rows
from ocngame.agents.training.pictures import draw_returns
from ocngame.agents.training.worlds import WorldMaker, make_world
from ocngame.envs import World
from ocngame.errors import CheckpointError, InvalidInputError
from ocngame.training.checkpoint import read_checkpoint
from ocngame.training.job import Job, read_run
from ocngame.training.marl_config import MarlConfig, NetworkSettings
from ocngame.training.run_folder import RunFolder

__all__ = ["CoupledJob", "CoupledRun", "coupled_run_from_dict", "load_coupled_team"]

_FORMAT = 1
_EVALUATION_SEED = 1_000_003


@dataclass(frozen=True, kw_only=True)
class CoupledRun:
    """Settings.

    Attributes:
        world: Name of a world.
        frames: Steps of a world, all agents together, of the whole run.
        copies: Copies that play before each move, at least two.
        lr: Multiple of the stage game's move.
        discount: gamma.
        width: Width of the hidden layers.
        depth: Hidden layers.
        seed: Of the first weights, the world and the actions.
        evaluation: World that measured returns are of; empty for that of the training.
        evaluation_copies: Copies of it.
        episodes: Episodes of a measurement.
        points: Measurements of the run.
        checkpoint_every: Moves between checkpoints.
        device: A torch device.
        threads: Threads of torch.
    """

    world: str = "simple_push"
    frames: int = 300_000
    copies: int = 128
    lr: float = 1.0
    discount: float = 0.95
    width: int = 64
    depth: int = 2
    seed: int = 0
    evaluation: str = ""
    evaluation_copies: int = 128
    episodes: int = 128
    points: int = 10
    checkpoint_every: int = 10
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("coupled.seed", self.seed, low=0)
        integer("coupled.copies", self.copies, low=2)
        for name in (
            "frames",
            "width",
            "depth",
            "evaluation_copies",
            "episodes",
            "points",
            "checkpoint_every",
            "threads",
        ):
            integer(f"coupled.{name}", getattr(self, name), low=1)
        positive("coupled.lr", self.lr)
        in_range("coupled.discount", self.discount, low=0.0, high=1.0)

    def as_dict(self) -> dict[str, Any]:
        """Give the settings as plain data.

        Returns:
            Settings by name, with the name of the job.
        """
        return {"job": "coupled", **asdict(self)}

    @property
    def shape(self) -> MarlConfig:
        """Settings that the policies are made by."""
        return MarlConfig(
            world=self.world,
            network=NetworkSettings(width=self.width, depth=self.depth),
            device=self.device,
        )


def coupled_run_from_dict(settings: dict[str, Any]) -> CoupledRun:
    """Read settings back that `as_dict` gave.

    Args:
        settings: Settings by name.

    Returns:
        The settings, validated.

    Raises:
        InvalidInputError: if a name is not known, or a value is out of range.
    """
    values = {name: value for name, value in settings.items() if name != "job"}
    try:
        return CoupledRun(**values)
    except TypeError as error:
        raise InvalidInputError(f"config: expected the settings of a run ({error})") from error


class CoupledJob(Job[MarlRow]):
    """A run between two moves.

    Attributes:
        config: Its settings.
        world: Its world.
        policies: Per group.
        learner: Who plays and moves.
        cpu_seconds: Processor time of play and moves, without measurements.
    """

    def __init__(self, config: CoupledRun, make: WorldMaker = make_world):
        """Make world and players.

        Args:
            config: Settings.
            make: Makes a world by name, copies and device.

        Raises:
            InvalidInputError: if the world has no horizon.
        """
        super().__init__(config)
        torch.set_num_threads(config.threads)
        self._make = make
        self.world = make(config.world, config.copies, config.device)
        if self.world.horizon is None:
            raise InvalidInputError(
                f"world: expected one with a horizon, {config.world!r} has none"
            )
        generator = torch.Generator().manual_seed(config.seed)
        self.policies = {
            group.name: make_policy(group, config.shape, generator) for group in self.world.groups
        }
        self.learner = CoupledLearner(
            self.world,
            {name: nn.Sequential(p.inputs, p.body) for name, p in self.policies.items()},
            CoupledConfig(discount=config.discount, lr=config.lr, seed=config.seed),
        )
        self.cpu_seconds = 0.0
        self._frames_per_step = config.copies * self.world.horizon
        self._measured: World | None = None
        self._costs: dict[str, float] = {}

    @classmethod
    def start(cls, config: CoupledRun, path: Path, make: WorldMaker = make_world) -> "CoupledJob":
        """Start a run that is kept in a new folder.

        Args:
            config: Settings.
            path: The folder.
            make: Makes a world by name, copies and device.

        Returns:
            The job before its first move.
        """
        job = cls(config, make)
        job.keep(path)
        return job

    @classmethod
    def resume(cls, path: Path, make: WorldMaker = make_world) -> "CoupledJob":
        """Go back to the last whole checkpoint of a run.

        Args:
            path: The run folder.
            make: Makes a world by name, copies and device.

        Returns:
            The job at that checkpoint.
        """
        config, content = read_run(path, coupled_run_from_dict, _FORMAT)
        job = cls(config, make)
        job.folder = RunFolder(path)
        job.learner.load_state_dict(content["learner"])
        job.step, job.cpu_seconds = content["step"], content["cpu_seconds"]
        job._costs = content["costs"]
        job._metrics_size = content["metrics_size"]
        return job

    @property
    def total_steps(self) -> int:
        """Number of moves of the whole run."""
        return -(-self.config.frames // self._frames_per_step)

    @property
    def frames(self) -> int:
        """Frames so far."""
        return self.step * self._frames_per_step

    def deciders(self) -> list[Decider]:
        """Give the policies as they are.

        Returns:
            One decider for every team.
        """
        teams: dict[str, dict] = {}
        for group in self.world.groups:
            teams.setdefault(group.team, {})[group.name] = self.policies[group.name]
        return [PolicyDecider("coupled", policies) for policies in teams.values()]

    def measured_world(self) -> World:
        """Give the world that measured returns are of.

        Returns:
            The world, closed with the job.
        """
        if self._measured is None:
            c = self.config
            self._measured = self._make(c.evaluation or c.world, c.evaluation_copies, c.device)
        return self._measured

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
        info = self.learner.step()
        self.step += 1
        self.cpu_seconds += time.process_time() - start
        names = [group.name for group in self.world.groups]
        self._costs = dict(zip(names, (float(c) for c in info.costs), strict=True))
        if self.step % max(1, self.total_steps // self.config.points) != 0 and not self.finished:
            return []
        drawn, most = (
            evaluate(
                self.measured_world(),
                self.deciders(),
                episodes=self.config.episodes,
                seed=_EVALUATION_SEED,
                deterministic=deterministic,
            )
            for deterministic in (False, True)
        )
        return [
            MarlRow(
                step=self.step,
                frames=self.frames,
                team=team,
                play=-sum(self._costs[g.name] for g in self.world.groups if g.team == team),
                drawn=drawn.means[team],
                deterministic=most.means[team],
                length=float(drawn.lengths.double().mean()),
                cpu_seconds=self.cpu_seconds,
                details={f"{name}/cost": cost for name, cost in self._costs.items()},
            )
            for team in dict.fromkeys(group.team for group in self.world.groups)
        ]

    def _checkpoint(self, metrics_size: int) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "config": self.config.as_dict(),
            "step": self.step,
            "cpu_seconds": self.cpu_seconds,
            "metrics_size": metrics_size,
            "learner": self.learner.state_dict(),
            "learners": {n: {"policy": p.state_dict()} for n, p in self.policies.items()},
            "costs": dict(self._costs),
        }


def load_coupled_team(path: Path, world: World, team: str) -> PolicyDecider:
    """Read the policies of a team from the last checkpoint of a run.

    Args:
        path: The run folder.
        world: The world to play in.
        team: Name of a team of it.

    Returns:
        The decider of the team.

    Raises:
        CheckpointError: if the run has no policy for a group of the team, or one of other shapes.
    """
    config = coupled_run_from_dict(RunFolder(path).read_config())
    kept = read_checkpoint(path)["learners"]
    policies = {}
    for group in world.groups:
        if group.team != team:
            continue
        policy = make_policy(group, config.shape, torch.Generator().manual_seed(0))
        try:
            policy.load_state_dict(kept[group.name]["policy"])
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(
                f"{path}: expected a policy that fits group {group.name!r} of {world.name}, got "
                f"those of {list(kept)}"
            ) from error
        policies[group.name] = policy.to(world.device)
    return PolicyDecider(path.name, policies)
