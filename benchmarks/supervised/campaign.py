"""Which runs there are, and making those that are missing."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.supervised.ours import changes_of, is_ours
from benchmarks.supervised.peers import PEERS
from benchmarks.supervised.runner import run
from benchmarks.supervised.store import Run, append, newest, read, source_of
from benchmarks.supervised.tasks import Task
from benchmarks.supervised.tuning import TUNING_SEED, best, by_quality, by_speed, wider
from ocngame.errors import OcnGameError


@dataclass
class Campaign:
    """Runs that are made once and kept.

    Attributes:
        path: The file of results.
        say: Told of every new run.
        done: Runs by their key.
    """

    path: Path
    say: Callable[[str], None] = print
    done: dict[tuple[object, ...], Run] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.done = {r.key: r for r in newest(read(self.path)[0])}

    def compare(self, optimizer: str, task: Task, seeds: int) -> None:
        """Make all runs of a contender on a task: a peer is tuned first."""
        if is_ours(optimizer):
            for seed in range(seeds):
                self.ours(optimizer, task, seed)
            return
        quality, speed = self.rates(optimizer, task)
        for seed in range(seeds):
            self.make(optimizer, task, quality, seed)
            if speed != quality:
                self.make(optimizer, task, speed, seed, only_target=True)

    def rates(self, optimizer: str, task: Task) -> tuple[float, float]:
        """Tune a peer; give its learning rates for quality and for speed."""
        grid = PEERS[optimizer].grid
        runs = [self.make(optimizer, task, lr, TUNING_SEED, tuning=True) for lr in grid]
        while (more := wider(runs, grid)) is not None:
            runs.append(self.make(optimizer, task, more, TUNING_SEED, tuning=True))
        return best(runs, by_quality), best(runs, by_speed)

    def ours(self, optimizer: str, task: Task, seed: int, only_target: bool = False) -> Run:
        """Make a run of OCNOpt."""
        lr = float(changes_of(optimizer).get("lr", "1"))
        return self.make(optimizer, task, lr, seed, only_target=only_target)

    def make(
        self,
        optimizer: str,
        task: Task,
        lr: float,
        seed: int,
        *,
        tuning: bool = False,
        only_target: bool = False,
    ) -> Run:
        """Give a run, from the file if it is there."""
        asked = Run(
            task=task.name,
            optimizer=optimizer,
            lr=lr,
            seed=seed,
            tuning=tuning,
            source=source_of(optimizer),
        )
        if asked.key in self.done:
            return self.done[asked.key]
        start = time.process_time()
        try:
            made = run(optimizer, task, lr=lr, seed=seed, tuning=tuning, only_target=only_target)
        except OcnGameError as error:
            made = Run(
                task=task.name,
                optimizer=optimizer,
                lr=lr,
                seed=seed,
                tuning=tuning,
                source=asked.source,
                refused=str(error),
            )
        append(made, self.path)
        self.done[made.key] = made
        self.say(_line(made, time.process_time() - start))
        return made


def _line(made: Run, seconds: float) -> str:
    loss = made.curve[-1][1] if made.curve else float("nan")
    what = f"refused: {made.refused}" if made.refused else f"reached {made.reached}"
    return (
        f"{made.task} {made.optimizer} lr {made.lr:g} seed {made.seed}: {what}, loss {loss:.3g} "
        f"after {made.steps}, test {made.test}, {seconds:.1f} s"
    )


def installed(optimizers: Sequence[str]) -> Iterator[str]:
    """Give the contenders that can run here, and say which cannot."""
    for name in optimizers:
        if is_ours(name):
            yield name
        elif name not in PEERS:
            raise SystemExit(f"optimizers: expected ocnopt or {', '.join(PEERS)}, got {name}")
        elif PEERS[name].installed:
            yield name
        else:
            print(f"{name} is left out: {PEERS[name].needs} is not installed")
