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


def race(task: Task, rates: Mapping[str, float], rounds: int) -> Timing:
    """Let contenders make `CHUNK` steps each in turn, after one turn to warm up.

    Args:
        task: The task.
        rates: Learning rates by contender, Adam's among them.
        rounds: Number of turns of each.
    """
    parts = task.split(SEED)
    count = CHUNK * (rounds + 1)
    batches = batch_numbers(len(parts.fit), task.batch_size, SEED, count)
    torch.manual_seed(SEED)
    trainers = {name: trainer_of(name, task, SEED, lr) for name, lr in rates.items()}
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    for turn in range(rounds + 1):
        chosen = batches[turn * CHUNK : (turn + 1) * CHUNK]
        for name, trainer in trainers.items():
            start = time.process_time()
            for numbers in chosen:
                trainer.step(parts.fit.x[numbers], parts.fit.y[numbers])
            if turn > 0:
                seconds[name].append((time.process_time() - start) / CHUNK)
    ratios = {
        name: statistics.median(s / a for s, a in zip(own, seconds[REFERENCE], strict=True))
        for name, own in seconds.items()
    }
    return Timing(
        task=task.name,
        source=source_hash(),
        milliseconds={n: round(1e3 * statistics.median(s), 4) for n, s in seconds.items()},
        ratios={name: round(ratio, 4) for name, ratio in ratios.items()},
    )
