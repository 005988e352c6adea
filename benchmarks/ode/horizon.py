"""Evaluations against accuracy where the integration time is fixed, or a control.

Digits, through the network of `ocngame train ode`: steps of a quarter of a unit of time, time 1 at
the start, a quarter (one step) as the least. OCNOpt moves the weights in every run. Runs of the
same seed have the same data, first weights and batches.
"""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ode.runner import Ours, watched_loss
from benchmarks.ode.store import append, read_as
from benchmarks.ode.tasks import SEEDS, TUNING_SEED
from ocngame.games.continuous import NeuralODE
from ocngame.training.ode.config import ODEConfig
from ocngame.training.ode.problem import make_problem
from ocngame.training.ode.times import time_control
from ocngame.training.ode.times_config import TimesSettings

HORIZON_RESULTS = Path(__file__).with_name("horizon.jsonl")
STEP = 0.25
FIXED = (0.25, 0.5, 0.75, 1.0)
COSTS = (1e-3, 3e-3, 1e-2)
RATES = (0.01, 0.03, 0.1)
STEPS = 80
EVERY = 5
BATCH = 128


@dataclass(frozen=True, kw_only=True)
class TimeCell:
    """What names a run.

    Attributes:
        rule: fixed, first_order or second_order.
        time: Time at the start.
        cost: Cost of an evaluation, in units of the loss.
        lr: Learning rate of the first-order rule; 0 for the others.
        seed: Seed of the data, the first weights and the batches.
        steps: Steps of the run.
    """

    rule: str
    time: float
    cost: float
    lr: float
    seed: int
    steps: int = STEPS


@dataclass(frozen=True, kw_only=True)
class TimeRun:
    """What became of a cell.

    Attributes:
        cell: The cell.
        curve: (step, time, evaluations so far, training loss).
        evaluations: Evaluations of a pass at the end.
        total: Evaluations of all steps, those of the times' rule included.
        train_loss: Mean loss on all training samples at the end.
        test_loss: Mean loss on the test samples at the end.
        test_accuracy: Right test samples at the end.
        seconds: Processor time of the steps.
    """

    cell: TimeCell
    curve: tuple[tuple[int, float, int, float], ...]
    evaluations: int
    total: int
    train_loss: float
    test_loss: float
    test_accuracy: float
    seconds: float

    @property
    def costs(self) -> float:
        """Training loss and running cost at the end."""
        return self.train_loss + self.cell.cost * self.evaluations


def read_horizons(path: Path) -> list[TimeRun]:
    """Read all runs."""
    return read_as(path, TimeRun, TimeCell)


def made(cell: TimeCell, path: Path) -> TimeRun:
    """Give a cell's run, made only if the file does not have it."""
    kept = next((run for run in read_horizons(path) if run.cell == cell), None)
    if kept is not None:
        return kept
    run = train(cell)
    append(run, path)
    said = f"{cell}: {run.evaluations} per pass, {run.total} in all, {run.test_accuracy:.4f}"
    print(said, flush=True)
    return run


def compare_times(path: Path) -> None:
    """Choose the first-order rule's rate on the tuning seed, and make all runs."""
    for seed in SEEDS:
        for cell in cells(tuned_rate(path), seed):
            made(cell, path)


def tuned_rate(path: Path) -> float:
    """Give the rate with the least loss and cost at the middle cost, on a seed of its own."""
    runs = [
        made(TimeCell(rule="first_order", time=1.0, cost=COSTS[1], lr=lr, seed=TUNING_SEED), path)
        for lr in RATES
    ]
    return min(runs, key=lambda run: run.costs).cell.lr


def cells(rate: float, seed: int) -> Iterator[TimeCell]:
    """Give the cells of a seed."""
    for length in FIXED:
        yield TimeCell(rule="fixed", time=length, cost=0.0, lr=0.0, seed=seed)
    for cost in COSTS:
        yield TimeCell(rule="second_order", time=1.0, cost=cost, lr=0.0, seed=seed)
        yield TimeCell(rule="first_order", time=1.0, cost=cost, lr=rate, seed=seed)


def train(cell: TimeCell) -> TimeRun:
    """Train a network."""
    times = TimesSettings(
        rule=cell.rule,  # pyright: ignore[reportArgumentType]
        cost=cell.cost,
        lr=cell.lr or TimesSettings.lr,
        low=STEP,
        high=4.0,
    )
    config = ODEConfig(problem="digits", seed=cell.seed, times=times)
    problem = make_problem(config)
    block = NeuralODE(
        problem.network.ode.get_submodule("field"),  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
        times=(0.0, cell.time),
        step=STEP,
        learn_times=cell.rule != "fixed",
    )
    problem.network.ode = block
    trainer = Ours(problem, 1.0)
    control = time_control(problem.network, problem.loss, config)
    curve, seconds = [], 0.0
    total = 0
    for step in range(cell.steps):
        x, y = problem.batch(step, BATCH, cell.seed)
        before, start = block.total_evaluations, time.process_time()
        if control is None:
            trainer.step(x, y)
        else:
            control.step(lambda x=x, y=y: trainer.step(x, y), x, y)
        seconds += time.process_time() - start
        total += block.total_evaluations - before
        if (step + 1) % EVERY == 0:
            at = float(block.times[-1].detach())
            curve.append((step + 1, round(at, 5), total, float(f"{watched_loss(problem):.5g}")))
    end = problem.measure(problem.network)
    return TimeRun(
        cell=cell,
        curve=tuple(curve),
        evaluations=sum(block.steps) * block.method.evaluations,
        total=total,
        train_loss=end.train_loss,
        test_loss=end.test_loss,
        test_accuracy=end.test_accuracy,
        seconds=round(seconds, 3),
    )


def spread(values: list[float], form: str) -> str:
    """Write a mean with the least and the greatest."""
    least, greatest = min(values), max(values)
    return f"{statistics.mean(values):{form}} [{least:{form}}, {greatest:{form}}]"
