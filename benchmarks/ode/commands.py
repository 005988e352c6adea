"""The commands: frozen settings with a `run` method each."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.ode.campaign import compare, tuned
from benchmarks.ode.horizon import HORIZON_RESULTS, compare_times
from benchmarks.ode.memory import measure
from benchmarks.ode.report import write_report
from benchmarks.ode.store import MEMORY, RESULTS, TIMINGS, source_hash
from benchmarks.ode.tasks import TASKS
from benchmarks.ode.timing import race


@dataclass(frozen=True, kw_only=True)
class RunTasks:
    """Tune Adam and SGD and make the runs that are missing.

    Attributes:
        optimizers: Contenders.
        tasks: Names of tasks.
        solver: rk4, or adjoint_dopri5 for the mode that users start from.
        results: The file of results.
    """

    optimizers: tuple[str, ...] = ("ocnopt", "adam", "sgd")
    tasks: tuple[str, ...] = tuple(TASKS)
    solver: str = "rk4"
    results: Path = RESULTS

    def run(self) -> None:
        for task in self.tasks:
            for optimizer in self.optimizers:
                compare(task, optimizer, self.results, self.solver)


@dataclass(frozen=True, kw_only=True)
class Time:
    """Measure the processor time of a step, all contenders in turn.

    Attributes:
        tasks: Names of tasks.
        turns: Turns of ten steps.
        results: The file of results, for the learning rates.
        timings: The file of timings.
    """

    tasks: tuple[str, ...] = tuple(TASKS)
    turns: int = 4
    results: Path = RESULTS
    timings: Path = TIMINGS

    def run(self) -> None:
        for task in self.tasks:
            adam = tuned(task, "adam", self.results)
            rates = {
                "ocnopt": 1.0,
                "adam": adam,
                "sgd": tuned(task, "sgd", self.results),
                "adam_adjoint": adam,
            }
            made = race(task, rates, self.turns, source_hash())
            with self.timings.open("a") as file:
                file.write(json.dumps(asdict(made), separators=(",", ":")) + "\n")
            print(task, made.seconds, flush=True)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Measure the memory of a step, with the graph of the solver's steps and without.

    Attributes:
        task: Name of the task.
        memory: The file of measurements.
    """

    task: str = "digits"
    memory: Path = MEMORY

    def run(self) -> None:
        measure(self.task, self.memory)


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """Make the runs in which the integration time is fixed, or a control.

    Attributes:
        results: The file of results.
    """

    results: Path = HORIZON_RESULTS

    def run(self) -> None:
        compare_times(self.results)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write the report from the files of results and timings.

    Attributes:
        results: The file of results.
        timings: The file of timings.
        memory: The file of measurements of memory.
        out: Folder of the report.
    """

    results: Path = RESULTS
    timings: Path = TIMINGS
    memory: Path = MEMORY
    out: Path = Path("docs/benchmarks")

    def run(self) -> None:
        write_report(self.results, self.timings, self.memory, self.out)
