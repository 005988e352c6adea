"""Teams with conflicting costs: bargaining against sums and published multi-task methods.

    pip install --no-deps torchjd==0.18.* cvxpy ecos osqp scs clarabel qdldl highspy \
        sparsediffpy qpsolvers quadprog jinja2
    python -m benchmarks.teams run          # about 4 minutes on one core
    python -m benchmarks.teams report

Each method's step size is chosen on a seed of its own, by the mean of the scores. Runs are appended
to `results.jsonl` beside this file, and what is there is not run again.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import tyro

from benchmarks.teams.methods import METHODS, alone
from benchmarks.teams.tasks import TASKS
from ocngame.games import PlayerGame
from ocngame.solvers.players import LinearEnd

_STORE = Path(__file__).with_name("results.jsonl")
_TUNING_SEED = 100
_SEEDS = (0, 1, 2)
_GRID = (1e-3, 3e-3, 1e-2)
_STEPS = 400
_BATCH = 128


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run: who, where, and what it came to."""

    task: str
    method: str
    lr: float
    seed: int
    scores: dict[str, float]
    seconds: float

    @property
    def key(self) -> tuple[str, str, float, int]:
        return self.task, self.method, self.lr, self.seed

    @property
    def mean(self) -> float:
        found = sum(self.scores.values()) / len(self.scores)
        return found if math.isfinite(found) else -math.inf


def play(
    task: str, method: str, make: Callable[[PlayerGame, float], Any], lr: float, seed: int
) -> Run:
    team = TASKS[task](seed)
    noise = torch.Generator().manual_seed(seed + 1)
    end, used = LinearEnd(), 0.0
    mover = make(team.game, lr)
    for k in range(_STEPS):
        rows = torch.randint(len(team.train[0]), (_BATCH,), generator=noise)
        batch = [part[rows] for part in team.train]
        before = time.process_time()
        mover.lr = lr * max(end.factor(k / _STEPS), 1e-3)
        mover.step(*batch)
        used += time.process_time() - before
    scores = dict(team.scores())
    return Run(task=task, method=method, lr=lr, seed=seed, scores=scores, seconds=used)


def stored() -> dict[tuple[str, str, float, int], Run]:
    lines = _STORE.read_text().splitlines() if _STORE.exists() else []
    runs = [Run(**json.loads(line)) for line in lines]
    return {run.key: run for run in runs}


def wanted(done: dict, task: str) -> Iterator[tuple[str, Any, float, int]]:
    """Give what is to be run: first the grid, then the seeds at the best of it.

    A method's grid has to be done when what comes after it is asked for.
    """
    chosen = {}
    for name, make in METHODS.items():
        for lr in _GRID:
            yield name, make, lr, _TUNING_SEED
        chosen[name] = _best(done, task, name)
    for seed in _SEEDS:
        for name, make in METHODS.items():
            yield name, make, chosen[name], seed
        for label, player in TASKS[task](seed).alone.items():
            yield f"only {label}", alone(player), chosen["sum"], seed


def _best(done: dict, task: str, name: str) -> float:
    return max(_GRID, key=lambda lr: done[task, name, lr, _TUNING_SEED].mean)


def run(tasks: tuple[str, ...] = tuple(TASKS)) -> None:
    """Make the runs that are missing.

    Args:
        tasks: Which tasks.
    """
    done = stored()
    for task in tasks:
        for name, make, lr, seed in wanted(done, task):
            if (task, name, lr, seed) in done:
                continue
            found = play(task, name, make, lr, seed)
            done[found.key] = found
            with _STORE.open("a") as file:
                file.write(json.dumps(asdict(found)) + "\n")
            print(task, name, lr, seed, found.scores, f"{found.seconds:.1f} s", flush=True)


def report() -> None:
    """Print a table per task: means over the seeds, and the lowest and highest mean score."""
    done = stored()
    for task in TASKS:
        if any((task, name, lr, seed) not in done for name, _, lr, seed in wanted(done, task)):
            print(f"\n{task}: runs are missing")
            continue
        first = next(run for run in done.values() if run.task == task)
        names = list(first.scores)
        singles = {
            name: [
                done[task, f"only {name}", _best(done, task, "sum"), s].scores[name] for s in _SEEDS
            ]
            for name in TASKS[task](0).alone
        }
        print(f"\n{task}\n\n| method | step size | {' | '.join(names)} | mean | per seed | CPU s |")
        print("|---" * (len(names) + 5) + "|")
        for name in METHODS:
            lr = _best(done, task, name)
            runs = [done[task, name, lr, seed] for seed in _SEEDS]
            cells = [f"{sum(r.scores[n] for r in runs) / len(runs):.3f}" for n in names]
            mean = sum(r.mean for r in runs) / len(runs)
            each = " ".join(f"{r.mean:.3f}".lstrip("0") for r in runs)
            spent = sum(r.seconds for r in runs) / len(runs)
            print(f"| {name} | {lr:g} | {' | '.join(cells)} | {mean:.3f} | {each} | {spent:.1f} |")
        if singles:
            cells = [f"{sum(values) / len(values):.3f}" for values in singles.values()]
            print(f"| one network per cost | | {' | '.join(cells)} | | | |")


def main() -> None:
    torch.set_num_threads(1)
    tyro.extras.subcommand_cli_from_dict({"run": run, "report": report}, description=__doc__)


if __name__ == "__main__":
    main()
