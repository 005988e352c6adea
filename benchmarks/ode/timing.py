"""Processor time of a step: contenders take turns in one process, so other load cancels out."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ode.runner import FirstOrder, Ours
from ocngame.training.ode.config import ODEConfig
from ocngame.training.ode.problem import make_problem
from ocngame.training.ode.solver import evaluations_of

CHUNK = 10  # steps of a turn
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of a step, turn by turn.

    Attributes:
        task: Name of the task.
        source: Hash of the sources that OCNOpt's steps depend on.
        seconds: By contender, seconds of a step in every turn of `CHUNK` steps.
        evaluations: By contender, evaluations of the field in a step, over all turns.
    """

    task: str
    source: str
    seconds: dict[str, list[float]]
    evaluations: dict[str, float]

    def to(self, contender: str, steps: float) -> float:
        """Give the seconds of a number of steps; the last turn goes on for ever."""
        turns = self.seconds[contender]
        whole, rest = divmod(steps, CHUNK)
        per_step = [turns[min(k, len(turns) - 1)] for k in range(int(whole) + 1)]
        return CHUNK * sum(per_step[:-1]) + rest * per_step[-1]


def race(task: str, rates: dict[str, float], turns: int, source: str) -> Timing:
    """Let contenders make `CHUNK` steps each in turn, from the first step on.

    Args:
        task: Name of the task.
        rates: Learning rates by contender: ocnopt, adam, sgd, and adam_adjoint.
        turns: Number of turns of each.
        source: Hash of the sources.
    """
    seconds: dict[str, list[float]] = {name: [] for name in rates}
    made = {}
    for name, lr in rates.items():
        solver = "adjoint_dopri5" if name == "adam_adjoint" else "rk4"
        problem = make_problem(ODEConfig(problem=task, seed=SEED, solver=solver))
        ours = name == "ocnopt"
        trainer = Ours(problem, lr) if ours else FirstOrder(name.split("_")[0], problem, lr)
        made[name] = problem, trainer
    size = ODEConfig().batch_size
    warm = make_problem(ODEConfig(problem=task, seed=SEED))
    FirstOrder("adam", warm, 1e-3).step(*warm.batch(0, size, SEED))
    for turn in range(turns):
        for name, (problem, trainer) in made.items():
            start = time.process_time()
            for step in range(turn * CHUNK, (turn + 1) * CHUNK):
                trainer.step(*problem.batch(step, size, SEED))
            seconds[name].append(round((time.process_time() - start) / CHUNK, 6))
    steps = turns * CHUNK
    counts = {name: evaluations_of(p.network) / steps for name, (p, _) in made.items()}
    return Timing(task=task, source=source, seconds=seconds, evaluations=counts)


def read_timings(path: Path) -> list[Timing]:
    """Read all timings, the newest last."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Timing(**json.loads(line)) for line in lines]
