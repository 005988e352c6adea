"""Memory of a step by the steps of the solver: by how much a process grows."""

import json
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.ode.runner import FirstOrder, Ours
from ocngame.training.ode.config import ODEConfig
from ocngame.training.ode.problem import make_problem

STEPS = (4, 16, 64)
SOLVERS = ("rk4", "adjoint_rk4")
OPTIMIZERS = ("adam", "ocnopt")
BATCH = 512


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Growth of a process over its first two steps.

    Attributes:
        task: Name of the task.
        optimizer: adam, or ocnopt, of which these steps measure curvature.
        solver: rk4, with the graph of its steps, or adjoint_rk4.
        solver_steps: Steps of the solver.
        mebibytes: Largest resident size after the steps less that before.
    """

    task: str
    optimizer: str
    solver: str
    solver_steps: int
    mebibytes: float


def measure(task: str, path: Path) -> list[Memory]:
    """Measure all combinations, and append them to a file."""
    found = []
    for optimizer in OPTIMIZERS:
        for solver in SOLVERS:
            for steps in STEPS:
                arguments = [task, optimizer, solver, str(steps)]
                command = [sys.executable, "-m", "benchmarks.ode.memory", *arguments]
                answer = subprocess.run(command, capture_output=True, text=True, check=True)
                found.append(Memory(**json.loads(answer.stdout)))
                with path.open("a") as file:
                    file.write(answer.stdout)
                print(found[-1], flush=True)
    return found


def read_memory(path: Path) -> dict[tuple[str, str, str, int], float]:
    """Read all measurements, of equal ones the newest."""
    lines = path.read_text().splitlines() if path.exists() else []
    made = [Memory(**json.loads(line)) for line in lines]
    return {(m.task, m.optimizer, m.solver, m.solver_steps): m.mebibytes for m in made}


def grown(task: str, optimizer: str, solver: str, steps: int) -> Memory:
    """Make two steps in this process."""
    problem = make_problem(ODEConfig(problem=task, solver=solver, solver_steps=steps))  # pyright: ignore[reportArgumentType]
    ours = optimizer == "ocnopt"
    trainer = Ours(problem, 1.0) if ours else FirstOrder(optimizer, problem, 1e-3)
    # What a first step of any kind brings with it (kernels, pools) is not of the solver.
    trainer.step(*problem.batch(0, 2, 0))
    batches = [problem.batch(step, BATCH, 0) for step in (0, 1)]
    before = _peak()
    for batch in batches:
        trainer.step(*batch)
    size = round(_peak() - before, 1)
    return Memory(task=task, optimizer=optimizer, solver=solver, solver_steps=steps, mebibytes=size)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    named, who, how, count = sys.argv[1:]
    print(json.dumps(asdict(grown(named, who, how, int(count)))))
