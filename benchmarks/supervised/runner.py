"""One run of a contender on a task."""

import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.supervised.data import Samples, batch_numbers
from benchmarks.supervised.ours import is_ours, ocnopt_trainer
from benchmarks.supervised.peers import PEERS
from benchmarks.supervised.store import Run, commit, source_of
from benchmarks.supervised.tasks import Task
from benchmarks.supervised.trainers import Trainer, state_bytes

AFTER = 10  # steps between measurements once the target is reached
SPACING = ((40, 4), (200, 10), (math.inf, 50))
"""Up to which step a stored curve has a point every how many; of tuning runs the end is kept."""
BLOWN_UP = 50.0  # times the first batch's loss at which a run has diverged


def trainer_of(optimizer: str, task: Task, seed: int, lr: float) -> Trainer:
    """Make the trainer of a contender; for OCNOpt the name says all."""
    if is_ours(optimizer):
        return ocnopt_trainer(optimizer, task, seed)
    return PEERS[optimizer].trainer(task, seed, lr)


def run(
    optimizer: str, task: Task, *, lr: float, seed: int, tuning: bool, only_target: bool = False
) -> Run:
    """Train a network and measure it.

    Args:
        optimizer: Name of the contender.
        task: The task.
        lr: Learning rate.
        seed: Seed of the split, the weights, the batches and everything else that is random.
        tuning: Whether to hold out the validation samples.
        only_target: Whether to stop where the target is reached.
    """
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - PSGD of the package draws from it
    parts = task.split(seed, tuning)
    trainer = trainer_of(optimizer, task, seed, lr)
    batches = batch_numbers(len(parts.fit), task.batch_size, seed, task.steps)
    curve: list[tuple[int, float]] = []
    reached, seconds, made, first = None, 0.0, 0, math.nan
    for chosen in batches:
        x, y = parts.fit.x[chosen], parts.fit.y[chosen]
        start = time.process_time()
        loss = trainer.step(x, y)
        seconds += time.process_time() - start
        made += 1
        first = loss if made == 1 else first
        if not loss <= BLOWN_UP * first:
            break
        if made % (task.every if reached is None else AFTER) == 0 or made == task.steps:
            curve.append((made, measure(trainer, parts.watched)[1]))
            if reached is None and curve[-1][1] <= task.target:
                reached = made
                if only_target:
                    break
    whole = made == task.steps
    held = parts.validation
    return Run(
        task=task.name,
        optimizer=optimizer,
        lr=lr,
        seed=seed,
        tuning=tuning,
        source=source_of(optimizer),
        commit=commit(),
        reached=reached,
        steps=made,
        curve=thinned(curve[-1:] if tuning else curve, reached),
        validation=measure(trainer, held) if whole and held is not None else None,
        test=measure(trainer, parts.test) if whole else None,
        seconds=round(seconds, 3),
        state_bytes=state_bytes(trainer.state()),
        parameters=sum(p.numel() for p in trainer.model.parameters()),
    )


def measure(trainer: Trainer, samples: Samples) -> tuple[float, float]:
    """Give the accuracy (NaN where there are no classes) and the mean loss."""
    with trainer.evaluating():
        output = trainer.model(samples.x)
        loss = float(trainer.loss(output, samples.y))
        return accuracy(output, samples.y, trainer.loss), float(f"{loss:.5g}")


def accuracy(output: Tensor, y: Tensor, loss: nn.Module) -> float:
    """Give the share of right classes."""
    if not isinstance(loss, nn.CrossEntropyLoss):
        return math.nan
    return round(float((output.argmax(-1) == y).double().mean()), 5)


def thinned(
    curve: Sequence[tuple[int, float]], reached: int | None
) -> tuple[tuple[int, float], ...]:
    """Keep the points of a curve at rounder and rounder steps, the last and the target's too."""
    last = len(curve) - 1

    def kept(k: int, step: int) -> bool:
        spacing = next(s for most, s in SPACING if step <= most)
        return k in {0, last} or step == reached or step % spacing == 0

    chosen = [point for k, point in enumerate(curve) if kept(k, point[0])]
    return tuple((step, float(f"{loss:.4g}")) for step, loss in chosen)
