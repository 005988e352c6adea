"""The file of results: a line of JSON for every run, appended when it has ended."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import ocngame

RESULTS = Path(__file__).with_name("results.jsonl")
TIMINGS = Path(__file__).with_name("timings.jsonl")
MEMORY = Path(__file__).with_name("memory.jsonl")

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What names a run.

    Attributes:
        task: Name of the problem.
        optimizer: ocnopt, adam or sgd.
        lr: Its learning rate.
        solver: rk4, or adjoint_dopri5.
        seed: Seed of the data, the first weights and the batches.
        steps: Steps of the run.
        source: Hash of the sources that OCNOpt's steps depend on; empty for the others.
    """

    task: str
    optimizer: str
    lr: float
    solver: str
    seed: int
    steps: int
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What became of a cell.

    Attributes:
        cell: The cell.
        curve: (step, training loss, field evaluations, processor seconds of the steps alone).
        test_loss: Mean loss on the test samples at the end.
        test_accuracy: Right test samples at the end; NaN without classes.
        state_bytes: Bytes of the optimizer's tensors at the end.
        parameters: Number of the network's parameters.
        refused: Steps refused, or -1 if the run ended by a number that was not finite.
    """

    cell: Cell
    curve: tuple[tuple[int, float, int, float], ...]
    test_loss: float
    test_accuracy: float
    state_bytes: int
    parameters: int
    refused: int = 0

    def reached(self, target: float) -> tuple[int, int, float] | None:
        """Give steps, field evaluations and seconds to the first measured loss at a target."""
        return next(
            (tuple(point[:1] + point[2:]) for point in self.curve if point[1] <= target), None
        )  # pyright: ignore[reportReturnType]


@lru_cache(maxsize=1)
def source_hash() -> str:
    """Hash the sources that a step of OCNOpt depends on."""
    root = Path(ocngame.__file__).parent
    digest = hashlib.sha256()
    for folder in (
        "curvature",
        "bellman",
        "games",
        "linalg",
        "solvers/ocnopt",
        "solvers/continuous",
        "solvers/flows",
        "training/ode",
    ):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def read(path: Path) -> list[Run]:
    """Read all runs."""
    return read_as(path, Run, Cell)


def read_as(path: Path, run: Callable[..., R], cell: Callable[..., Any]) -> list[R]:
    """Read all runs; a line cut off by a kill is passed over, the newest of equal cells counts.

    Args:
        path: The file.
        run: What a line is, with a cell and a curve of points.
        cell: What names it.
    """
    found: dict[Any, R] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            content = json.loads(line)
        except json.JSONDecodeError:
            continue
        key = cell(**content.pop("cell"))
        curve = tuple(tuple(point) for point in content.pop("curve"))
        found[key] = run(cell=key, curve=curve, **content)
    return list(found.values())


def make(cell: Cell, path: Path, run: Callable[[Cell], Run]) -> Run:
    """Give a cell's run, made only if the file does not have it."""
    kept = next((r for r in read(path) if r.cell == cell), None)
    if kept is not None:
        return kept
    made = run(cell)
    append(made, path)
    return made


def append(run: Any, path: Path) -> None:
    """Add a run's line to a file."""
    with path.open("a") as file:
        file.write(json.dumps(asdict(run), separators=(",", ":")) + "\n")
