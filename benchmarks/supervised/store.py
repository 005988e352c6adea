"""The file of results: a line of JSON for every run, appended when it has ended.

Peers do not depend on ocngame, so their runs count for ever. Runs of OCNOpt carry a hash of the
sources of ocngame; the report takes those of the newest line's, `prune` drops the rest.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import ocngame
from benchmarks.supervised.ours import is_ours

RESULTS = Path(__file__).with_name("results.jsonl")


@dataclass(frozen=True, kw_only=True)
class Run:
    """What became of a run.

    Attributes:
        task: Name of the task.
        optimizer: Name of the contender.
        lr: Its learning rate; for OCNOpt its multiple of the step.
        seed: Seed of the split, the weights and the batches.
        tuning: Whether validation samples were held out.
        source: Hash of ocngame's sources, empty for a peer.
        commit: Commit of the checkout.
        reached: Steps to the target, None if never.
        steps: Steps made; fewer than the task's if the run diverged or was stopped at the target.
        curve: Pairs (step, training loss), thinned.
        validation: Accuracy and mean loss on the validation samples, None without.
        test: Accuracy and mean loss on the test samples at the end, None if stopped before.
        seconds: Processor seconds of the steps alone.
        state_bytes: Bytes of the optimizer's tensors at the end.
        parameters: Number of the network's parameters.
        refused: Why the run could not be made, empty if it could.
    """

    task: str
    optimizer: str
    lr: float
    seed: int
    tuning: bool
    source: str = ""
    commit: str = ""
    reached: int | None = None
    steps: int = 0
    curve: tuple[tuple[int, float], ...] = ()
    validation: tuple[float, float] | None = None
    test: tuple[float, float] | None = None
    seconds: float = 0.0
    state_bytes: int = 0
    parameters: int = 0
    refused: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes it the same run."""
        return self.task, self.optimizer, self.lr, self.seed, self.tuning, self.source


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Processor time of a step of contenders that took turns on a task.

    Attributes:
        task: Name of the task.
        source: Hash of ocngame's sources.
        milliseconds: Median of a step by contender.
        ratios: Median over the later rounds of the ratio to Adam by contender.
        turns: Ratio to Adam's median of every round of `chunk` steps, from the first step on.
        chunk: Steps of a round.
    """

    task: str
    source: str
    milliseconds: dict[str, float]
    ratios: dict[str, float]
    turns: dict[str, list[float]] = field(default_factory=dict)
    chunk: int = 10


def source_of(optimizer: str) -> str:
    """Give the hash that belongs to a contender's runs."""
    return source_hash() if is_ours(optimizer) else ""


@lru_cache(maxsize=1)
def source_hash() -> str:
    """Hash the sources of ocngame as they are on the disk."""
    root = Path(ocngame.__file__).parent
    digest = hashlib.sha256()
    for folder in ("curvature", "bellman", "games", "linalg", "solvers/ocnopt"):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@lru_cache(maxsize=1)
def commit() -> str:
    """Give the commit of the checkout, with a plus if ocngame differs from it."""
    root = Path(ocngame.__file__).parent.parent

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + "+" * bool(git("status", "-s", "ocngame"))


def append(item: Run | Timing, path: Path) -> None:
    """Add a line to the file of results."""
    usual = {field.name: field.default for field in fields(item)}
    content = {k: v for k, v in asdict(item).items() if v != usual[k]}
    content = {"kind": type(item).__name__.lower(), **content}
    line = json.dumps(content, separators=(",", ":")).encode() + b"\n"
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line  # the last writer was killed
        file.write(line)


def read(path: Path) -> tuple[list[Run], list[Timing]]:
    """Read all runs and timings; a line cut off by a kill is passed over."""
    runs: list[Run] = []
    timings: list[Timing] = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            content = json.loads(line)
        except json.JSONDecodeError:
            continue
        kind: type[Run] | type[Timing] = {"run": Run, "timing": Timing}[content.pop("kind")]
        known = {field.name for field in fields(kind)}
        made = kind(**{k: _frozen(v) for k, v in content.items() if k in known})
        (runs if isinstance(made, Run) else timings).append(made)  # pyright: ignore[reportArgumentType]
    return runs, timings


def newest(runs: Sequence[Run]) -> list[Run]:
    """Drop the runs of OCNOpt by older sources where the same contender has newer ones."""
    latest = {(r.task, r.optimizer, r.lr): r.source for r in runs}
    kept = [r for r in runs if r.source == latest[r.task, r.optimizer, r.lr]]
    return list({r.key: r for r in kept}.values())


def prune(path: Path) -> None:
    """Write the file anew without the runs and timings by older sources."""
    runs, timings = read(path)
    last = {timing.task: timing for timing in timings}
    replacement = path.with_suffix(".tmp")
    replacement.write_text("")
    for item in [*newest(runs), *last.values()]:
        append(item, replacement)
    replacement.replace(path)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
