"""From runs to figures: steps and processor seconds to the target, best peers, ratios."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.supervised.ours import is_ours
from benchmarks.supervised.peers import PEERS
from benchmarks.supervised.store import Run, Timing, newest, read
from benchmarks.supervised.tuning import best, by_quality, by_speed

NEVER = math.inf


@dataclass(frozen=True)
class Figure:
    """A mean over seeds.

    Attributes:
        mean: The mean; infinite if it is a number of steps and a seed never reached the target.
        deviation: Standard deviation over seeds.
        seeds: Number of seeds.
        missed: Number of those that never reached the target.
    """

    mean: float
    deviation: float
    seeds: int
    missed: int = 0

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """Summarise values, of which some may be infinite."""
        missed = sum(not math.isfinite(value) for value in values)
        if missed:
            return cls(NEVER, math.nan, len(values), missed)
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        return cls(statistics.mean(values), spread, len(values))

    def shown(self, form: str = ".0f") -> str:
        """Write it for a table."""
        if self.missed:
            return f"never ({self.missed}/{self.seeds})"
        return f"{self.mean:{form}} ± {self.deviation:{form}}"


@dataclass(frozen=True)
class Best:
    """A contender and its figure."""

    optimizer: str
    figure: Figure


@dataclass(frozen=True, kw_only=True)
class Results:
    """All runs and the newest timing of every task."""

    runs: Sequence[Run]
    timings: Mapping[str, Timing]

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read the file of results."""
        runs, timings = read(path)
        return cls(runs=newest(runs), timings={timing.task: timing for timing in timings})

    @cached_property
    def _by_cell(self) -> dict[tuple[str, str], list[Run]]:
        found: dict[tuple[str, str], list[Run]] = {}
        for run in self.runs:
            found.setdefault((run.task, run.optimizer), []).append(run)
        return found

    def of(self, task: str, optimizer: str) -> list[Run]:
        """Give all runs of a contender on a task."""
        return self._by_cell.get((task, optimizer), [])

    def refusal(self, task: str, optimizer: str) -> str:
        """Say why a contender could not run, empty if it could."""
        return next((run.refused for run in self.of(task, optimizer) if run.refused), "")

    def rates(self, task: str, optimizer: str) -> tuple[float, float] | None:
        """Give a contender's learning rates for quality and for speed, None if it was not run."""
        runs = self.of(task, optimizer)
        if is_ours(optimizer):
            return (runs[0].lr, runs[0].lr) if runs else None
        tuned = [run for run in runs if run.tuning]
        return (best(tuned, by_quality), best(tuned, by_speed)) if tuned else None

    def final(self, task: str, optimizer: str, lr: float) -> list[Run]:
        """Give the runs of the report at a learning rate, ordered by seed."""
        runs = [r for r in self.of(task, optimizer) if not r.tuning and r.lr == lr]
        return sorted((run for run in runs if not run.refused), key=lambda run: run.seed)

    def steps(self, task: str, optimizer: str) -> Figure | None:
        """Give the steps to the target at the learning rate that turned out faster of the two."""
        found = [
            f for lr in self.rates(task, optimizer) or () if (f := self._at(task, optimizer, lr))
        ]
        return min(found, key=_rank) if found else None

    def steps_at_quality(self, task: str, optimizer: str) -> Figure | None:
        """Give the steps to the target at the learning rate for quality."""
        rates = self.rates(task, optimizer)
        return None if rates is None else self._at(task, optimizer, rates[0])

    def _at(self, task: str, optimizer: str, lr: float) -> Figure | None:
        runs = self.final(task, optimizer, lr)
        return (
            Figure.of([NEVER if r.reached is None else r.reached for r in runs]) if runs else None
        )

    def quality(self, task: str, optimizer: str, column: int) -> Figure | None:
        """Give the test accuracy (column 0) or loss (1) at the learning rate for quality."""
        rates = self.rates(task, optimizer)
        runs = self.final(task, optimizer, rates[0]) if rates is not None else []
        values = [run.test[column] if run.test is not None else NEVER for run in runs]
        return Figure.of(values) if values else None

    def time_ratio(self, task: str, optimizer: str) -> float:
        """Give the processor time of a step over Adam's, NaN if it was not measured."""
        timing = self.timings.get(task)
        return math.nan if timing is None else timing.ratios.get(optimizer, math.nan)

    def seconds(self, task: str, optimizer: str) -> float:
        """Give the processor time to the target in steps of Adam's, NaN if it is not known."""
        steps, timing = self.steps(task, optimizer), self.timings.get(task)
        if steps is None or timing is None or optimizer not in timing.ratios:
            return math.nan
        left, total = steps.mean, 0.0
        for ratio in timing.turns.get(optimizer, ()):
            made = min(left, timing.chunk)
            total, left = total + made * ratio, left - made
        return total + left * timing.ratios[optimizer]

    def best_steps(self, task: str) -> Best | None:
        """Give the peer with the fewest steps."""
        found = [Best(n, f) for n in PEERS if (f := self.steps(task, n)) is not None]
        return min(found, key=lambda b: _rank(b.figure)) if found else None

    def best_seconds(self, task: str) -> str | None:
        """Name the peer with the least processor time to the target."""
        found = [(s, n) for n in PEERS if math.isfinite(s := self.seconds(task, n))]
        return min(found)[1] if found else None

    def best_quality(self, task: str, column: int) -> Best | None:
        """Give the peer with the best test accuracy (column 0) or loss (1)."""
        found = [Best(n, f) for n in PEERS if (f := self.quality(task, n, column)) is not None]
        if not found:
            return None
        sign = -1.0 if column == 0 else 1.0
        return min(found, key=lambda b: (b.figure.missed > 0, sign * b.figure.mean))

    def state_per_parameter(self, optimizer: str) -> float:
        """Give the median over tasks of the state's bytes per parameter of the network."""
        per_task = {
            run.task: run.state_bytes / run.parameters
            for run in self.runs
            if run.optimizer == optimizer and run.parameters
        }
        return statistics.median(per_task.values()) if per_task else math.nan


def _rank(figure: Figure) -> tuple[float, int]:
    return figure.mean, figure.missed


def ratio(ours: float, theirs: float) -> float:
    """Give a ratio of steps or times; 0 if only the peer never arrives, NaN if neither does."""
    if math.isinf(theirs):
        return math.nan if math.isinf(ours) else 0.0
    return ours / theirs
