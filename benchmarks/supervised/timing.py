"""Processor time of a step: contenders take turns in one process, so other load cancels out."""

import statistics
import time
from collections.abc import Mapping

import torch

from benchmarks.supervised.data import batch_numbers
from benchmarks.supervised.runner import trainer_of
from benchmarks.supervised.store import Timing, source_hash
from benchmarks.supervised.tasks import Task

REFERENCE = "adam"
CHUNK = 10  # steps of a turn: a multiple of the peers' steps between preconditioners
SEED = 0
EARLY = 2  # turns in which OCNOpt measures curvature at every step


def race(task: Task, rates: Mapping[str, float], rounds: int) -> Timing:
    """Let contenders make `CHUNK` steps each in turn, from the first step on.

    Args:
        task: The task.
        rates: Learning rates by contender, Adam's among them.
        rounds: Number of turns of each, more than `EARLY`.
    """
    parts = task.split(SEED)
    batches = batch_numbers(len(parts.fit), task.batch_size, SEED, CHUNK * rounds)
    torch.manual_seed(SEED)
    for name, lr in rates.items():  # what is done once in a process
        warm = trainer_of(name, task, SEED, lr)
        for numbers in batches[:3]:
            warm.step(parts.fit.x[numbers], parts.fit.y[numbers])
    trainers = {name: trainer_of(name, task, SEED, lr) for name, lr in rates.items()}
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    for turn in range(rounds):
        chosen = batches[turn * CHUNK : (turn + 1) * CHUNK]
        for name, trainer in trainers.items():
            start = time.process_time()
            for numbers in chosen:
                trainer.step(parts.fit.x[numbers], parts.fit.y[numbers])
            seconds[name].append((time.process_time() - start) / CHUNK)
    turns = {
        name: [s / a for s, a in zip(own, seconds[REFERENCE], strict=True)]
        for name, own in seconds.items()
    }
    return Timing(
        task=task.name,
        source=source_hash(),
        milliseconds={n: round(1e3 * statistics.median(s), 4) for n, s in seconds.items()},
        ratios={name: round(statistics.median(own[EARLY:]), 4) for name, own in turns.items()},
        turns={name: [round(ratio, 4) for ratio in own] for name, own in turns.items()},
        chunk=CHUNK,
    )
