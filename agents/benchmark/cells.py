"""Cells: one training of a world by an algorithm, an optimizer and a seed, and its measurement.

A training is a run folder of the multi-agent job. One that was stopped goes on from its last
checkpoint and ends bitwise as one that never stopped; only the processor time of steps after that
checkpoint is counted anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ocngame.agents.benchmark.store import Store, content_key
from ocngame.agents.benchmark.suite import Suite
from ocngame.agents.decider import Decider
from ocngame.agents.evaluation import evaluate
from ocngame.agents.random import RandomDecider
from ocngame.agents.training import MarlJob, MarlRow, read_marl_rows
from ocngame.agents.training.worlds import WorldMaker
from ocngame.envs import World
from ocngame.training.marl_config import MarlConfig

__all__ = ["Cell", "cells_of", "measure_random", "random_stem", "run_cell", "safe"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training.

    Attributes:
        config: Its settings.
        episodes: Episodes of the last measurement.
        evaluation_seed: Seed of it.
    """

    config: MarlConfig
    episodes: int
    evaluation_seed: int

    @property
    def label(self) -> str:
        """What is compared: algorithm and optimizer."""
        return f"{self.config.algorithm} {self.config.optimizer}"

    @property
    def stem(self) -> str:
        """Name of its files, ending in the hash of all its settings."""
        c = self.config
        settings = {
            "config": c.as_dict(),
            "episodes": self.episodes,
            "seed": self.evaluation_seed,
        }
        name = f"{safe(c.world)}-{c.algorithm}-{c.optimizer}-{c.seed}"
        return f"{name}-{content_key(settings)}"


def safe(world: str) -> str:
    """Make a world's name a part of a file's name.

    Args:
        world: The name.

    Returns:
        It, with dots for what paths and modules are written with.
    """
    return world.replace(":", ".").replace("/", ".")


def cells_of(suite: Suite) -> list[Cell]:
    """List the trainings of a suite.

    Args:
        suite: The suite.

    Returns:
        Its cells; seeds vary slowest, so that every contender has a result early.
    """
    return [
        Cell(
            config=suite.config(world, algorithm, optimizer, seed),
            episodes=suite.episodes,
            evaluation_seed=suite.evaluation_seed,
        )
        for seed in suite.seeds
        for world in suite.worlds
        for algorithm in suite.algorithms
        for optimizer in suite.optimizers
    ]


def run_cell(
    cell: Cell,
    store: Store,
    make: WorldMaker,
    notify: Callable[[int, int], None],
) -> dict[str, Any]:
    """Train, or go on training, and measure.

    Args:
        cell: The cell.
        store: Where its run folder is made.
        make: Makes worlds.
        notify: Is told the frames so far and of the whole run after every update.

    Returns:
        The result, as plain data.
    """
    path = store.runs / cell.stem
    torch.set_num_threads(cell.config.threads)
    job = MarlJob.resume(path, make) if path.exists() else MarlJob.start(cell.config, path, make)
    try:
        for _ in job.run():
            notify(job.frames, job.total_steps * cell.config.frames_per_update)
        rows = read_marl_rows(path / "metrics.jsonl")
        final = _measure(job.measured_world(), job.deciders(), cell.episodes, cell.evaluation_seed)
        job.draw()
    finally:
        job.close()
    return {
        "kind": "training",
        "cell": cell.stem,
        "run": f"runs/{cell.stem}",
        "label": cell.label,
        "world": cell.config.world,
        "algorithm": cell.config.algorithm,
        "optimizer": cell.config.optimizer,
        "seed": cell.config.seed,
        "frames": job.frames,
        "cpu_seconds": job.cpu_seconds,
        "config": cell.config.as_dict(),
        "teams": {
            team: numbers | {"curve": _curve([r for r in rows if r.team == team])}
            for team, numbers in final.items()
        },
    }


def random_stem(suite: Suite, world: str) -> str:
    """Name the result of random play.

    Args:
        suite: The suite.
        world: Name of the world.

    Returns:
        Name of its file.
    """
    config = _first_config(suite, world)
    settings = {
        "world": config.evaluation or world,
        "copies": config.evaluation_copies,
        "episodes": suite.episodes,
        "seed": suite.evaluation_seed,
    }
    return f"{safe(world)}-random-{content_key(settings)}"


def measure_random(suite: Suite, world: str, make: WorldMaker) -> dict[str, Any]:
    """Measure random play of all teams.

    Args:
        suite: The suite.
        world: Name of the world.
        make: Makes worlds.

    Returns:
        The result, as plain data.
    """
    config = _first_config(suite, world)
    place = make(config.evaluation or world, config.evaluation_copies, config.device)
    try:
        deciders = [RandomDecider(place.groups)]
        teams = _measure(place, deciders, suite.episodes, suite.evaluation_seed)
    finally:
        place.close()
    return {"kind": "random", "world": world, "label": "random", "teams": teams}


def _first_config(suite: Suite, world: str) -> MarlConfig:
    return suite.config(world, suite.algorithms[0], suite.optimizers[0], suite.seeds[0])


def _measure(
    world: World, deciders: Sequence[Decider], episodes: int, seed: int
) -> dict[str, dict[str, Any]]:
    drawn, most = (
        evaluate(world, deciders, episodes=episodes, seed=seed, deterministic=d)
        for d in (False, True)
    )
    return {
        team: {
            "drawn": float(drawn.by_team[team].mean()),
            "deterministic": float(most.by_team[team].mean()),
            "episodes": len(drawn.lengths),
        }
        for team in drawn.by_team
    }


def _curve(rows: Sequence[MarlRow]) -> dict[str, list[float]]:
    return {
        "frames": [row.frames for row in rows],
        "cpu_seconds": [row.cpu_seconds for row in rows],
        "drawn": [row.drawn for row in rows],
        "deterministic": [row.deterministic for row in rows],
    }
