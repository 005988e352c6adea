"""Run folders: one per job, complete from the moment it has its name.

A new folder is filled under a temporary name and renamed when it has its settings and its first
checkpoint, so that every folder that is seen can be resumed.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ocngame.errors import CheckpointError, InvalidInputError
from ocngame.training.checkpoint import replace_file

__all__ = ["RunFolder", "default_folder", "require_free"]


@dataclass(frozen=True)
class RunFolder:
    """Where the files of a run are.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """Settings of the run."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """One line per contender and measured step."""
        return self.path / "metrics.jsonl"

    @property
    def curves(self) -> Path:
        """Picture of the losses."""
        return self.path / "curves.png"

    @property
    def game(self) -> Path:
        """Picture of the network as a game."""
        return self.path / "game.png"

    @classmethod
    def create(
        cls, path: Path, settings: dict[str, Any], fill: Callable[["RunFolder"], None]
    ) -> "RunFolder":
        """Make a folder that appears only when it is complete.

        Args:
            path: Its place; must not exist, or be empty.
            settings: Settings of the run, as plain data.
            fill: Puts the first files into the folder given.

        Returns:
            The folder.

        Raises:
            InvalidInputError: if there is something at this place, or it cannot be written to.
        """
        require_free(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        except OSError as error:
            raise InvalidInputError(f"out: cannot write to {path.parent} ({error})") from error
        try:
            draft = cls(temporary)
            draft.write_json(draft.config, settings)
            fill(draft)
            temporary.chmod(0o755)
            try:
                temporary.replace(path)
            except OSError as error:
                require_free(path)
                raise InvalidInputError(f"out: cannot make {path} ({error})") from error
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return cls(path)

    def read_config(self) -> dict[str, Any]:
        """Read the settings of the run.

        Returns:
            The settings, as plain data.

        Raises:
            CheckpointError: if this is no run folder, or its settings cannot be read.
        """
        if not self.config.is_file():
            raise CheckpointError(f"{self.path} is not a run folder: it has no config.json")
        try:
            settings = json.loads(self.config.read_text())
        except ValueError as error:
            raise CheckpointError(f"{self.config}: expected JSON ({error})") from error
        if not isinstance(settings, dict):
            raise CheckpointError(f"{self.config}: expected an object, got {settings!r}")
        return settings

    def write_json(self, path: Path, content: dict[str, Any]) -> None:
        """Write a JSON file that is never seen half written.

        Args:
            path: The file, in this folder.
            content: Plain data.
        """
        temporary = path.with_suffix(".tmp")
        with temporary.open("w") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        replace_file(temporary, path)

    def draw(self, path: Path, draw: Callable[[Path], None]) -> None:
        """Draw a picture that is never seen half written.

        Args:
            path: The picture, in this folder.
            draw: Draws into the file given.
        """
        temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")
        draw(temporary)
        replace_file(temporary, path)


def require_free(path: Path) -> None:
    """Require that a folder can be made at a place without touching what is there.

    Args:
        path: The place.

    Raises:
        InvalidInputError: if there is something that is not an empty folder.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InvalidInputError(
            f"out: expected a folder that does not exist yet, got {path}; choose another"
        )


def default_folder(name: str) -> Path:
    """Name a new folder under `runs/` by job and time.

    Args:
        name: Name of the job.

    Returns:
        A path at which nothing is yet.
    """
    base = Path("runs") / f"{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    path, count = base, 1
    while path.exists():
        count += 1
        path = base.with_name(f"{base.name}-{count}")
    return path
