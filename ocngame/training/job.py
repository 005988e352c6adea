"""What every run does between its steps: write measured rows and, now and then, a checkpoint."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from ocngame.training.checkpoint import write_checkpoint
from ocngame.training.metrics import MetricsLog

if TYPE_CHECKING:
    from ocngame.training.run_folder import RunFolder

__all__ = ["Job"]

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
