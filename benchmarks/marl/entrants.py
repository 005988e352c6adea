"""Who meets: trained runs, the planner, random play."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ocngame.agents import Decider, NashPlanner, scenario_of
from ocngame.agents.benchmark import as_decider, entrant_of
from ocngame.agents.training import MarlJob, read_marl_rows
from ocngame.envs import World
from ocngame.solvers.nonlinear import SingleStep
from ocngame.training.marl_config import MarlConfig, Optimizer

__all__ = ["CONTROL", "LABELS", "TRAINED", "Entrant", "entrants", "train_missing"]

TRAINED: tuple[Optimizer, ...] = ("adam", "ocnopt", "coupled")
LABELS = (*TRAINED, "planner", "random")
CONTROL = "no plan"
"""The planner's rollouts with a plan of doing nothing: what is owed to the game's solution."""


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """A player of either side.

    Attributes:
        label: One of `LABELS`, or `CONTROL`.
        run: Its run folder, None for those that are not trained.
    """

    label: str
    run: Path | None = None

    @property
    def name(self) -> str:
        """In results."""
        return self.label if self.run is None else self.run.name

    def decider(self, world: World, team: str) -> Decider:
        """Let it play a team.

        Args:
            world: The world.
            team: The team.

        Returns:
            Who plays.
        """
        if self.label == CONTROL:
            names = [group.name for group in world.groups if group.team == team]
            return _Unplanned(scenario_of(world), names)
        return as_decider(entrant_of(str(self.run or self.label)), world, team)


def entrants(
    world: str, seeds: Sequence[int], out: Path, labels: Sequence[str] = LABELS
) -> list[Entrant]:
    """List who meets in a world.

    Args:
        world: Its name.
        seeds: Of the runs.
        out: Folder of the runs.
        labels: Who may.

    Returns:
        The entrants; of the trained ones those whose run is there.
    """
    runs = [
        Entrant(label=label, run=path)
        for label in TRAINED
        for seed in seeds
        if (path := out / f"{world}-{label}-{seed}").exists()
    ]
    found = [*runs, *(Entrant(label=label) for label in ("planner", CONTROL, "random"))]
    return [entrant for entrant in found if entrant.label in labels]


def train_missing(world: str, label: Optimizer, seed: int, frames: int, out: Path) -> float:
    """Train, or go on, unless it is done.

    Args:
        world: The world.
        label: The optimizer.
        seed: Of the run.
        frames: Its length.
        out: Where runs are.

    Returns:
        Processor seconds of play and updates.
    """
    path = out / f"{world}-{label}-{seed}"
    config = MarlConfig(
        world=world, optimizer=label, seed=seed, frames=frames, episodes=128, evaluate_every=9
    )
    job = MarlJob.resume(path) if path.exists() else MarlJob.start(config, path)
    for _ in job.run():
        pass
    job.close()
    return read_marl_rows(path / "metrics.jsonl")[-1].cpu_seconds


class _Unplanned(NashPlanner):
    """Plans to do nothing."""

    def _planned(self, x: Tensor, controls: Tensor) -> SingleStep:
        horizon, size = controls.shape[1:]
        return SingleStep(
            states=x.unsqueeze(1).expand(-1, horizon + 1, -1),
            controls=torch.zeros_like(controls),
            feedback=x.new_zeros(len(x), horizon, size, x.shape[1]),
            sound=torch.ones(len(x), dtype=torch.bool),
        )
