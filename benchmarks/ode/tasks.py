"""The tasks, the grids, and how a learning rate is chosen from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.ode.store import Run

TUNING_SEED = 100
SEEDS = (0, 1, 2)
GRIDS = {
    "adam": (3e-3, 1e-2, 3e-2, 1e-1),
    "sgd": (3e-2, 1e-1, 3e-1, 1.0),
}


@dataclass(frozen=True, kw_only=True)
class Task:
    """A problem with a target.

    Attributes:
        title: Its name in tables.
        steps: Steps of a run.
        tuning_steps: Steps of a run over the grid.
        target: Training loss to reach.
    """

    title: str
    steps: int
    tuning_steps: int
    target: float


TASKS = {
    "digits": Task(title="digits", steps=120, tuning_steps=150, target=0.1),
    "japanese_vowels": Task(title="JapaneseVowels", steps=60, tuning_steps=60, target=0.01),
    "basic_motions": Task(title="BasicMotions", steps=60, tuning_steps=60, target=0.02),
    "circles": Task(title="two circles", steps=120, tuning_steps=150, target=3.3),
    "moons": Task(title="two moons", steps=120, tuning_steps=150, target=2.6),
    "gaussians8": Task(title="eight Gaussians", steps=120, tuning_steps=150, target=2.35),
}


def rank(run: Run, target: float) -> tuple[float, float]:
    """Rank by steps to the target, then by the last training loss."""
    found = run.reached(target)
    last = run.curve[-1][1] if run.curve and run.refused >= 0 else math.inf
    return (math.inf if found is None else found[0]), last if math.isfinite(last) else math.inf


def best(runs: Sequence[Run], target: float) -> float:
    """Give the learning rate of the best run."""
    return min(runs, key=lambda run: rank(run, target)).cell.lr
