"""Figures of the comparison from the runs and timings."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ode.store import Run, read
from benchmarks.ode.tasks import SEEDS, TASKS
from benchmarks.ode.timing import CHUNK, Timing, read_timings


def median(values: Sequence[float]) -> float:
    """Give the median of what is known, NaN of nothing; never reached counts as infinite."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else math.nan


@dataclass(frozen=True)
class Figures:
    """Runs on the seeds, of OCNOpt the newest, and the newest timing of every task.

    Attributes:
        runs: The runs.
        timings: Timings by task.
    """

    runs: list[Run]
    timings: dict[str, Timing]

    @classmethod
    def load(cls, results: Path, timings: Path) -> "Figures":
        """Read the files."""
        runs = [run for run in read(results) if run.cell.seed in SEEDS]
        newest = {(r.cell.task, r.cell.optimizer): r.cell.source for r in runs}
        kept = [r for r in runs if r.cell.source == newest[r.cell.task, r.cell.optimizer]]
        return cls(kept, {timing.task: timing for timing in read_timings(timings)})

    def of(self, task: str, optimizer: str, solver: str = "rk4") -> list[Run]:
        """Give the runs of a contender."""
        wanted = task, optimizer, solver
        return [r for r in self.runs if (r.cell.task, r.cell.optimizer, r.cell.solver) == wanted]

    def steps(self, task: str, optimizer: str, solver: str = "rk4") -> list[float]:
        """Give the steps to the target by seed, infinite where it was not reached."""
        return self._to_target(task, optimizer, solver, 0)

    def evaluations(self, task: str, optimizer: str, solver: str = "rk4") -> list[float]:
        """Give the evaluations of the field to the target by seed."""
        return self._to_target(task, optimizer, solver, 1)

    def seconds(self, task: str, contender: str) -> float:
        """Give the processor seconds to the target: median steps at the timing's pace.

        The adjoint contender's pace is that of the timing by evaluation of the field, of which its
        steps take more and more.
        """
        timing = self.timings.get(task)
        if timing is None or contender not in timing.seconds:
            return math.nan
        if contender == "adam_adjoint":
            evaluations = median(self.evaluations(task, "adam", "adjoint_dopri5"))
            pace = statistics.mean(timing.seconds[contender]) / timing.evaluations[contender]
            return evaluations * pace
        steps = median(self.steps(task, contender))
        return timing.to(contender, steps) if math.isfinite(steps) else steps

    def pace(self, task: str, contender: str) -> float:
        """Give the time of a step over Adam's in the same mode, over all turns of the timing."""
        timing = self.timings.get(task)
        if timing is None:
            return math.nan
        paired = zip(timing.seconds[contender], timing.seconds["adam"], strict=True)
        return statistics.mean(a for a, _ in paired) / statistics.mean(timing.seconds["adam"])

    def run_pace(self, task: str, contender: str) -> float:
        """Give the time of a task's whole run over Adam's, its last turns going on to the end."""
        timing = self.timings.get(task)
        if timing is None:
            return math.nan
        found = []
        for name in (contender, "adam"):
            turns = timing.seconds[name]
            more = TASKS[task].steps / CHUNK - len(turns)
            found.append(sum(turns) + more * statistics.mean(turns[-2:]))
        return found[0] / found[1]

    def late_pace(self, task: str, contender: str) -> float:
        """Give the time of a step over Adam's in the last two turns of the timing."""
        timing = self.timings.get(task)
        if timing is None:
            return math.nan
        return sum(timing.seconds[contender][-2:]) / sum(timing.seconds["adam"][-2:])

    def _to_target(self, task: str, optimizer: str, solver: str, part: int) -> list[float]:
        found = [run.reached(TASKS[task].target) for run in self.of(task, optimizer, solver)]
        return [math.inf if point is None else float(point[part]) for point in found]


def ratio(one: float, other: float) -> float:
    """Divide; never over something is infinite, something over never is zero."""
    if math.isnan(one) or math.isnan(other) or (math.isinf(one) and math.isinf(other)):
        return math.nan
    return 0.0 if math.isinf(other) else one / other
