"""Results of cells on the disk: one JSON file each, named by what decides it.

A file is written beside its place and renamed, so what has its name is whole. Its name ends in a
hash of everything that decides the result; another setting is another file, and a file that is
there need not be made again. A failure is a file of its own, removed when the cell succeeds.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ocngame.errors import CheckpointError, InvalidInputError
from ocngame.training.run_folder import RunFolder

__all__ = ["Store", "content_key"]

_FORMAT = 2
"""Part of every key: raise it when the same settings give another content."""


def content_key(settings: Mapping[str, Any]) -> str:
    """Hash plain data.

    Args:
        settings: What decides a result.

    Returns:
        Twelve hexadecimal digits, the same for equal settings in any order.
    """
    text = json.dumps({"format": _FORMAT, **settings}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Store:
    """A folder of results.

    Attributes:
        path: The benchmark's folder.
    """

    path: Path

    def __post_init__(self) -> None:
        """Make the folders.

        Raises:
            InvalidInputError: if they cannot be made.
        """
        try:
            self.cells.mkdir(parents=True, exist_ok=True)
            self.runs.mkdir(exist_ok=True)
        except OSError as error:
            raise InvalidInputError(f"out: cannot write to {self.path} ({error})") from error

    @property
    def cells(self) -> Path:
        """Where results are."""
        return self.path / "cells"

    @property
    def runs(self) -> Path:
        """Where the run folders of trainings are."""
        return self.path / "runs"

    @property
    def videos(self) -> Path:
        """Where videos are."""
        return self.path / "videos"

    def read(self, stem: str) -> dict[str, Any] | None:
        """Give a result.

        Args:
            stem: Name of its file.

        Returns:
            The result, None if it has not been made.

        Raises:
            CheckpointError: if its file is damaged.
        """
        path = self.cells / f"{stem}.json"
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text())
        except ValueError as error:
            raise CheckpointError(
                f"{path}: expected JSON ({error}); remove it to have it made again"
            ) from error

    def write(self, stem: str, content: Mapping[str, Any]) -> None:
        """Keep a result.

        Args:
            stem: Name of its file.
            content: Plain data.
        """
        RunFolder(self.cells).write_json(self.cells / f"{stem}.json", plain(content))
        self._failure(stem).unlink(missing_ok=True)

    def write_failure(self, stem: str, kind: str, error: str) -> dict[str, str]:
        """Keep an error.

        Args:
            stem: Name of the result that could not be made.
            kind: Name of the exception.
            error: Why, in one sentence.

        Returns:
            What was kept.
        """
        content = {"cell": stem, "kind": kind, "error": error}
        RunFolder(self.cells).write_json(self._failure(stem), content)
        return content

    def _failure(self, stem: str) -> Path:
        return self.cells / f"{stem}.failed.json"


def plain(value: Any) -> Any:
    """Replace numbers that JSON does not have.

    Args:
        value: Plain data.

    Returns:
        The same with None for numbers that are not finite.
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
