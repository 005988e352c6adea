"""Which cells are run: a grid on the tuning seed, then the best learning rate on the seeds."""

from functools import partial
from pathlib import Path

from benchmarks.ode.runner import run
from benchmarks.ode.store import Cell, make, source_hash
from benchmarks.ode.tasks import GRIDS, SEEDS, TASKS, TUNING_SEED, best


def tuned(task: str, optimizer: str, path: Path) -> float:
    """Choose a learning rate on the grid, in the mode of even steps."""
    steps = TASKS[task].tuning_steps
    runs = []
    for lr in GRIDS[optimizer]:
        cell = Cell(
            task=task, optimizer=optimizer, lr=lr, solver="rk4", seed=TUNING_SEED, steps=steps
        )
        runs.append(make(cell, path, partial(run, stop=TASKS[task].target)))
    return best(runs, TASKS[task].target)


def compare(task: str, optimizer: str, path: Path, solver: str = "rk4") -> None:
    """Make an optimizer's runs on the seeds."""
    ours = optimizer == "ocnopt"
    lr = 1.0 if ours else tuned(task, optimizer, path)
    for seed in SEEDS:
        cell = Cell(
            task=task,
            optimizer=optimizer,
            lr=lr,
            solver=solver,
            seed=seed,
            steps=TASKS[task].steps,
            source=source_hash() if ours else "",
        )
        made = make(cell, path, run)
        target = TASKS[task].target
        print(task, optimizer, solver, f"lr {lr:g} seed {seed}:", made.reached(target), flush=True)
