"""Metrics of a run, one JSON object a line: what each number means, and how they are kept."""

import fcntl
import json
import math
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ocngame.errors import CheckpointError

__all__ = ["MetricsLog", "MetricsRow", "read_metrics"]


@dataclass(frozen=True, kw_only=True)
class MetricsRow:
    """What is known of one contender after one step.

    Attributes:
        step: Steps made.
        epoch: Passes over the training samples, as a fraction.
        optimizer: Name of the contender.
        batch_loss: Loss of the step's batch, before the step.
        accepted: Whether the step was made; one with non-finite numbers is refused.
        train_loss: Mean loss over all training samples.
        test_loss: Mean loss over all test samples.
        test_accuracy: Fraction of the test samples classified rightly.
        cpu_seconds: Processor time of all steps so far, without these measurements.
        details: Numbers of the optimizer's own; those of OCNOpt are in `StepInfo`.
    """

    step: int
    epoch: float
    optimizer: str
    batch_loss: float
    accepted: bool
    train_loss: float
    test_loss: float
    test_accuracy: float
    cpu_seconds: float
    details: dict[str, float] = field(default_factory=dict)


class MetricsLog:
    """A file of rows that only grows, but for a cut back to a checkpoint."""

    def __init__(self, path: Path, size: int = 0):
        """Open the file for this process alone and cut it back to a known size.

        Args:
            path: The file; made if it is not there.
            size: Bytes to keep.

        Raises:
            CheckpointError: if the file is shorter than that, or another process writes to it.
        """
        self._file = path.open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise CheckpointError(f"{path.parent}: another process is going on with it") from error
        found = os.fstat(self._file.fileno()).st_size
        if found < size:
            self._file.close()
            raise CheckpointError(
                f"{path}: expected at least {size} bytes, as the checkpoint says, got {found}"
            )
        self._file.truncate(size)

    def append(self, rows: Iterable[Any]) -> None:
        """Add rows.

        Args:
            rows: Dataclasses of plain data; numbers that are not finite become null.
        """
        for row in rows:
            line = json.dumps(_without_nan(asdict(row)), allow_nan=False)
            self._file.write(line.encode() + b"\n")
        self._file.flush()

    def sync(self) -> int:
        """Bring all rows to the disk.

        Returns:
            Size of the file in bytes.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(path: Path) -> list[MetricsRow]:
    """Read the rows of a run back.

    Args:
        path: The file; a last line that was cut off is left out.

    Returns:
        The rows; numbers that were not finite are NaN.
    """
    rows = []
    for line in path.read_text().split("\n")[:-1]:
        values = json.loads(line)
        details = {name: _number(value) for name, value in values.pop("details").items()}
        numbers = {name: math.nan for name, value in values.items() if value is None}
        rows.append(MetricsRow(**(values | numbers), details=details))
    return rows


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
