"""Samples of the tasks: split into training, validation and test parts by a seed.

Learning rates are chosen on runs that train without the validation samples; the runs that are
reported train on both parts. Data sets that come with a test set keep it, others hold out a fifth.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ocngame.training.datasets import LabelledData, load_data

WATCHED = 1500  # training samples at most on which the training loss is measured
HELD_OUT = 0.2  # of the training samples, for validation


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Inputs and targets.

    Attributes:
        x: Inputs, shape (n, ...).
        y: Targets: class numbers (n,), or the inputs themselves for an autoencoder.
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: Tensor) -> "Samples":
        """Give the samples of these numbers."""
        return Samples(x=self.x[index], y=self.y[index])


@dataclass(frozen=True, kw_only=True)
class Split:
    """The parts of a data set.

    Attributes:
        fit: Samples that the optimizer sees.
        watched: Those of `fit` on which the training loss is measured, at most `WATCHED`.
        validation: Samples by which a learning rate is chosen; None where it has been.
        test: Samples of the report.
    """

    fit: Samples
    watched: Samples
    validation: Samples | None
    test: Samples


@lru_cache(maxsize=8)
def _loaded(name: str, scaling: str, seed: int) -> LabelledData:
    return load_data(name, scaling=scaling, test_fraction=0.2, seed=seed)


def split(
    name: str,
    *,
    seed: int,
    tuning: bool,
    scaling: str = "standard",
    shape: tuple[int, ...] | None = None,
    scale: float = 1.0,
    autoencoder: bool = False,
) -> Split:
    """Load a data set and split it.

    Args:
        name: As in `ocngame.training.datasets.load_data`.
        seed: Seed of the split.
        tuning: Whether a part of the training samples is held out for validation.
        scaling: "standard" (features of mean 0 and deviation 1) or "none".
        shape: Shape of one input; None keeps it flat.
        scale: What the features are divided by.
        autoencoder: Whether the target is the input.
    """
    data = _loaded(name, scaling, seed)

    def samples(x: Tensor, y: Tensor) -> Samples:
        x = (x / scale).reshape(len(x), *shape) if shape is not None else x / scale
        return Samples(x=x, y=x if autoencoder else y)

    train, test = samples(data.x_train, data.y_train), samples(data.x_test, data.y_test)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    validation = None
    if tuning:
        held = int(HELD_OUT * len(train))
        validation, order = train.take(order[:held]), order[held:]
    return Split(
        fit=train.take(order),
        watched=train.take(order[:WATCHED]),
        validation=validation,
        test=test,
    )


def batch_numbers(samples: int, size: int, seed: int, steps: int) -> list[Tensor]:
    """Give the sample numbers of every step: each epoch in a new order, what is left dropped."""
    generator = torch.Generator().manual_seed(7_919 * seed + 1)
    size = min(size, samples)
    found: list[Tensor] = []
    while len(found) < steps:
        order = torch.randperm(samples, generator=generator)
        found += [order[k : k + size] for k in range(0, samples - size + 1, size)]
    return found[:steps]
