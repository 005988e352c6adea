"""The supervised job: contenders on the same weights and batches, measured, stopped and resumed.

What a step does follows from the settings, the number of the step and the contenders' states alone:
batches and random layers draw from generators seeded by the number of epoch and step. A run that is
resumed from a checkpoint is therefore bitwise equal to one that was never stopped.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ocngame.errors import CheckpointError, InvalidInputError
from ocngame.games import GameGraph
from ocngame.training.checkpoint import read_checkpoint
from ocngame.training.config import SupervisedConfig, config_from_dict
from ocngame.training.contenders import make_contenders
from ocngame.training.curves import draw_curves
from ocngame.training.datasets import load_data
from ocngame.training.evaluation import evaluate
from ocngame.training.job import Job
from ocngame.training.metrics import MetricsRow, read_metrics
from ocngame.training.networks import build_network
from ocngame.training.run_folder import RunFolder

__all__ = ["SupervisedJob"]

_FORMAT = 1


class SupervisedJob(Job[MetricsRow]):
    """A supervised run between two of its steps.

    Attributes:
        config: Its settings.
        data: Its samples.
        contenders: The networks and their optimizers.
        step: Number of steps made.
        reached: Per contender, the first measured step at which the training loss was at most
            `config.target_loss`.
        folder: Where its files are, None if it is not kept.
    """

    def __init__(self, config: SupervisedConfig):
        """Load the data and make the contenders.

        Args:
            config: Settings.

        Raises:
            InvalidInputError: if the data, the network or the device are not what is expected.
        """
        super().__init__(config)
        device = _device(config.device)
        data = load_data(
            config.data,
            scaling=config.scaling,
            test_fraction=config.test_fraction,
            seed=config.seed,
        )
        samples = len(data.x_train)
        if config.batch_size > samples:
            raise InvalidInputError(
                f"batch_size: expected at most the {samples} training samples, "
                f"got {config.batch_size}"
            )
        network = build_network(
            config.model,
            features=data.x_train.shape[1],
            classes=data.classes,
            width=config.width,
            depth=config.depth,
            activation=config.activation,
            seed=config.seed,
        ).to(device)
        self.data = data.to(device)
        self.steps_per_epoch = samples // config.batch_size
        self.game = GameGraph.from_module(network, self.data.x_train[:2], players="single")
        self._check_output(network)
        self.contenders = make_contenders(config, network, self.total_steps)

    @property
    def total_steps(self) -> int:
        """Number of steps of the whole run."""
        return self.steps_per_epoch * self.config.epochs

    @classmethod
    def start(cls, config: SupervisedConfig, path: Path) -> "SupervisedJob":
        """Start a run that is kept in a new folder.

        Args:
            config: Settings.
            path: The folder.

        Returns:
            The job before its first step.

        Raises:
            InvalidInputError: if something is not what is expected; no folder is left then.
        """
        job = cls(config)
        job.keep(path)
        return job

    @classmethod
    def resume(cls, path: Path) -> "SupervisedJob":
        """Go back to the last whole checkpoint of a run.

        Args:
            path: The run folder.

        Returns:
            The job at that checkpoint.

        Raises:
            CheckpointError: if no checkpoint can be read or it does not belong to the settings.
        """
        folder = RunFolder(path)
        config = config_from_dict(folder.read_config())
        content = read_checkpoint(path)
        job = cls(config)
        job.folder = folder
        job._restore(content)
        return job

    def draw_curves(self) -> None:
        """Draw the curves of the run into its folder."""
        folder = self.folder
        if folder is not None:
            rows = read_metrics(folder.metrics)
            folder.draw(folder.curves, lambda path: draw_curves(rows, path))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Give the samples of a step.

        Args:
            step: Number of the step, from 0.

        Returns:
            Features (B, features) and class numbers (B,).
        """
        epoch, index = divmod(step, self.steps_per_epoch)
        size = self.config.batch_size
        generator = torch.Generator().manual_seed(_mix(self.config.seed, epoch, 1))
        order = torch.randperm(len(self.data.x_train), generator=generator)
        chosen = order[index * size : (index + 1) * size].to(self.data.x_train.device)
        return self.data.x_train[chosen], self.data.y_train[chosen]

    def _advance(self) -> list[MetricsRow]:
        x, y = self.batch(self.step)
        results = []
        for contender in self.contenders:
            with torch.random.fork_rng():
                _seed_layers(x.device, _mix(self.config.seed, self.step, 2))
                results.append(contender.step(x, y))
        self.step += 1
        if self.step % self.config.evaluate_every != 0 and not self.finished:
            return []
        rows = []
        for contender, result in zip(self.contenders, results, strict=True):
            found = evaluate(contender.model, self.data)
            if found.train_loss <= self.config.target_loss:
                self.reached.setdefault(contender.name, self.step)
            rows.append(
                MetricsRow(
                    step=self.step,
                    epoch=self.step / self.steps_per_epoch,
                    optimizer=contender.name,
                    batch_loss=result.loss,
                    accepted=result.accepted,
                    train_loss=found.train_loss,
                    test_loss=found.test_loss,
                    test_accuracy=found.test_accuracy,
                    cpu_seconds=contender.cpu_seconds,
                    details=result.details,
                )
            )
        return rows

    def _checkpoint(self, metrics_size: int) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "config": self.config.as_dict(),
            "data": self.data.fingerprint,
            "step": self.step,
            "reached": self.reached,
            "metrics_size": metrics_size,
            "contenders": {c.name: c.state_dict() for c in self.contenders},
        }

    def _fill(self, folder: RunFolder) -> None:
        folder.draw(folder.game, self.game.draw)

    def _restore(self, content: dict[str, Any]) -> None:
        where = f"{self.folder.path if self.folder else 'checkpoint'}"
        if content.get("format") != _FORMAT:
            raise CheckpointError(
                f"{where}: expected a checkpoint of format {_FORMAT}, got {content.get('format')!r}"
            )
        saved = content["config"]
        changed = [n for n, value in self.config.as_dict().items() if saved.get(n) != value]
        if changed:
            raise CheckpointError(
                f"{where}: config.json and the checkpoint differ in {', '.join(changed)}"
            )
        if content["data"] != self.data.fingerprint:
            raise CheckpointError(
                f"{where}: the data {self.config.data} have changed since the run started"
            )
        for contender in self.contenders:
            contender.load_state_dict(content["contenders"][contender.name])
        self.step = content["step"]
        self.reached = dict(content["reached"])
        self._metrics_size = content["metrics_size"]

    def _check_output(self, network: nn.Module) -> None:
        with torch.no_grad():
            shape = tuple(network(self.data.x_train[:2]).shape)
        if shape != (2, self.data.classes):
            raise InvalidInputError(
                f"model: expected an output of shape (samples, {self.data.classes}), "
                f"got {shape} for 2 samples"
            )


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidInputError(
            f"device: expected a torch device that is here, got {name!r} ({reason})"
        ) from error
    return device


def _seed_layers(device: torch.device, seed: int) -> None:
    # torch.manual_seed would do, at a cost in every step that small networks notice.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _mix(seed: int, count: int, stream: int) -> int:
    """Give a seed for one epoch or step; the streams of batches and of layers do not meet."""
    return (seed * 1_000_003 + count) * 4 + stream & (2**63 - 1)
