"""What every run does between its steps: write measured rows and, now and then, a checkpoint."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from ocngame.errors import CheckpointError
from ocngame.training.checkpoint import read_checkpoint, write_checkpoint
from ocngame.training.metrics import MetricsLog
from ocngame.training.run_folder import RunFolder

__all__ = ["Job", "read_run"]

Row = TypeVar("Row")


class Job(ABC, Generic[Row]):
    """A run between two of its steps.

    Attributes:
        config: Its settings, `threads` and `checkpoint_every` among them.
        step: Number of steps made.
        reached: Per competitor, the first measured step at which it was at its target.
        folder: Where its files are, None if it is not kept.
    """

    def __init__(self, config: Any):
        """Stand before the first step.

        Args:
            config: Settings.
        """
        self.config = config
        self.step = 0
        self.reached: dict[str, int] = {}
        self.folder: RunFolder | None = None
        self._metrics_size = 0

    def keep(self, path: Path) -> None:
        """Keep the run, which stands before its first step, in a new folder.

        Args:
            path: The folder.
        """

        def fill(folder: RunFolder) -> None:
            folder.metrics.touch()
            write_checkpoint(folder.path, self._checkpoint(0))
            self._fill(folder)

        self.folder = RunFolder.create(path, self.config.as_dict(), fill)

    @property
    @abstractmethod
    def total_steps(self) -> int:
        """Number of steps of the whole run."""

    @property
    def finished(self) -> bool:
        """Whether no step is left."""
        return self.step >= self.total_steps

    def run(self) -> Iterator[Sequence[Row]]:
        """Make the steps that are left.

        Yields:
            After every step the competitors' rows, none if the step was not measured.
        """
        torch.set_num_threads(self.config.threads)
        log = None if self.folder is None else MetricsLog(self.folder.metrics, self._metrics_size)
        try:
            while not self.finished:
                rows = self._advance()
                if log is not None and self.folder is not None:
                    log.append(rows)
                    if self.step % self.config.checkpoint_every == 0 or self.finished:
                        write_checkpoint(self.folder.path, self._checkpoint(log.sync()))
                yield rows
        finally:
            if log is not None:
                log.close()

    @abstractmethod
    def _advance(self) -> list[Row]:
        """Make a step and give its rows."""

    @abstractmethod
    def _checkpoint(self, metrics_size: int) -> dict[str, Any]:
        """Give what a later run needs to go on from here."""

    def _fill(self, folder: RunFolder) -> None:
        """Put more than the checkpoint into a new folder."""
        return


def read_run(
    path: Path, config_from_dict: Callable[[dict[str, Any]], Any], number: int
) -> tuple[Any, dict[str, Any]]:
    """Read settings and the last whole checkpoint of a run.

    Args:
        path: The run folder.
        config_from_dict: Reads the settings.
        number: Format of the checkpoint.

    Returns:
        The settings and the checkpoint.

    Raises:
        CheckpointError: if no checkpoint can be read or it does not belong to the settings.
    """
    config = config_from_dict(RunFolder(path).read_config())
    content = read_checkpoint(path)
    if content.get("format") != number or content.get("config") != config.as_dict():
        raise CheckpointError(f"{path}: config.json and the checkpoint differ")
    return config, content
