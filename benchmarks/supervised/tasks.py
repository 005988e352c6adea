"""The tasks: data, network, loss, number of steps and the training loss that counts as reached.

The training loss is the mean over `Split.watched` (all training samples where there are at most
1,500) after a step, measured every `every` steps; "steps to target" is the first measured step at
which it is at most `target`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.supervised import models
from benchmarks.supervised.data import Split, split
from ocngame.curvature import OutputHessian, SquaredErrorHessian


class HalfSquaredError(nn.Module):
    """Half the squared error summed over pixels, mean over samples."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return 0.5 * (output - target).square().sum(-1).mean()


@dataclass(frozen=True, kw_only=True)
class Task:
    """A supervised task.

    Attributes:
        name: Its name in commands.
        title: Its name in the report.
        load: Gives the samples; called with the keywords of `data.split` that are left.
        build: Makes the network from torch's global generator.
        target: Training loss that counts as reached.
        steps: Steps of a run, and of the cosine schedule.
        batch_size: Samples per step.
        every: Steps between measurements until the target is reached.
        autoencoder: Whether the target is the input, and the loss half the squared error.
    """

    name: str
    title: str
    load: Callable[..., Split]
    build: Callable[[], nn.Module]
    target: float
    steps: int
    batch_size: int = 128
    every: int = 1
    autoencoder: bool = False

    def split(self, seed: int, tuning: bool = False) -> Split:
        """Give the samples of a seed."""
        return self.load(seed=seed, tuning=tuning, autoencoder=self.autoencoder)

    def model(self, seed: int) -> nn.Module:
        """Give the network with the first weights of a seed."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self.build()

    def loss(self) -> nn.Module:
        """Give the loss."""
        return HalfSquaredError() if self.autoencoder else nn.CrossEntropyLoss()

    def hessian(self) -> OutputHessian | None:
        """Give the output Hessian where OCNOpt cannot tell it from the loss."""
        return SquaredErrorHessian(scale=1.0) if self.autoencoder else None


def _digits(**more: object) -> Callable[..., Split]:
    return partial(split, "digits", **more)  # pyright: ignore[reportArgumentType]


_ALL = (
    Task(
        name="digits-tanh",
        title="digits, tanh MLP",
        load=_digits(),
        build=lambda: models.mlp((64, 64, 64, 64, 10), nn.Tanh),
        target=0.01,
        steps=330,
    ),
    Task(
        name="digits-relu",
        title="digits, ReLU MLP",
        load=_digits(),
        build=lambda: models.mlp((64, 64, 64, 64, 10), nn.ReLU),
        target=0.01,
        steps=330,
    ),
    Task(
        name="digits-autoencoder",
        title="digits, deep autoencoder",
        load=_digits(scaling="none", scale=16.0),
        build=lambda: models.mlp((64, 32, 16, 8, 4, 8, 16, 32, 64), nn.Tanh),
        target=1.0,
        steps=700,
        autoencoder=True,
    ),
    Task(
        name="mnist1d-mlp",
        title="MNIST-1D, ReLU MLP",
        load=partial(split, "mnist1d"),
        build=lambda: models.mlp((40, 96, 96, 10), nn.ReLU),
        target=0.3,
        steps=500,
        every=2,
    ),
    Task(
        name="mnist5k-mlp",
        title="MNIST 5k, ReLU MLP",
        load=partial(split, "mnist5k", scaling="none", scale=255.0),
        build=lambda: models.mlp((784, 64, 32, 10), nn.ReLU),
        target=0.05,
        steps=300,
        every=2,
    ),
    Task(
        name="wine",
        title="wine, tanh MLP",
        load=partial(split, "wine"),
        build=lambda: models.mlp((13, 32, 32, 3), nn.Tanh),
        target=0.001,
        steps=150,
        batch_size=32,
    ),
    Task(
        name="digits-residual",
        title="digits, deep residual MLP",
        load=_digits(),
        build=lambda: models.residual_mlp(64, 32, 10, 10),
        target=0.01,
        steps=330,
    ),
    Task(
        name="mnist1d-cnn",
        title="MNIST-1D, CNN",
        load=partial(split, "mnist1d", shape=(1, 40)),
        build=models.signal_cnn,
        target=0.3,
        steps=400,
        every=2,
    ),
    Task(
        name="mnist1d-inception",
        title="MNIST-1D, inception",
        load=partial(split, "mnist1d", shape=(1, 40)),
        build=models.signal_inception,
        target=0.3,
        steps=300,
        every=4,
    ),
    Task(
        name="mnist1d-residual-cnn",
        title="MNIST-1D, residual CNN",
        load=partial(split, "mnist1d", shape=(1, 40)),
        build=models.signal_residual_cnn,
        target=0.3,
        steps=300,
        every=4,
    ),
    Task(
        name="mnist5k-cnn",
        title="MNIST 5k, CNN",
        load=partial(split, "mnist5k", shape=(1, 28, 28), scaling="none", scale=255.0),
        build=models.image_cnn,
        target=0.1,
        steps=200,
        every=2,
    ),
)

TASKS: dict[str, Task] = {task.name: task for task in _ALL}

_EXTRA = (
    *(
        Task(
            name=f"sigmoid-{depth}",
            title=f"digits, sigmoid MLP of {depth} hidden layers",
            load=_digits(),
            build=lambda depth=depth: models.mlp((64, *[32] * depth, 10), nn.Sigmoid),
            target=0.1,
            steps=600,
        )
        for depth in (3, 5, 10)
    ),
    *(
        Task(
            name=f"batch-{size}",
            title=f"digits, tanh MLP, batches of {size}",
            load=_digits(),
            build=lambda: models.mlp((64, 64, 64, 64, 10), nn.Tanh),
            target=0.05,
            steps=steps,
            batch_size=size,
            every=2,
        )
        for size, steps in ((8, 800), (16, 400), (64, 400))
    ),
)

EXTRA_TASKS: dict[str, Task] = {task.name: task for task in _EXTRA}
"""Tasks of the experiments, not counted in the comparison."""


def task_named(name: str) -> Task:
    """Give a task of either kind."""
    known = TASKS | EXTRA_TASKS
    if name not in known:
        raise SystemExit(f"tasks: expected some of {', '.join(known)}, got {name}")
    return known[name]
