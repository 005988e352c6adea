"""The commands: frozen settings with a `run` method each."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.ode.campaign import compare
from benchmarks.ode.store import RESULTS
from benchmarks.ode.tasks import TASKS


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
