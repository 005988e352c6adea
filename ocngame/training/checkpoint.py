"""Checkpoints that a kill at any time cannot spoil.

A checkpoint is written to a temporary file, brought to the disk, and only then put in place; the
one before it is kept under a second name. Whenever the process ends, one whole checkpoint is there.
Reading checks every byte (the checksums of the zip format) and falls back to the older one.
"""

import logging
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from ocngame.errors import CheckpointError

__all__ = ["CURRENT", "PREVIOUS", "read_checkpoint", "replace_file", "write_checkpoint"]

CURRENT = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"

_log = logging.getLogger(__name__)


def write_checkpoint(folder: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint and keep the one before it.

    Args:
        folder: The run folder.
        content: Plain data and tensors.
    """
    temporary = folder / f"{CURRENT}.tmp"
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    if (folder / CURRENT).exists():
        (folder / CURRENT).replace(folder / PREVIOUS)
    replace_file(temporary, folder / CURRENT)


def replace_file(temporary: Path, final: Path) -> None:
    """Put a finished file in its place, and bring the folder's entry to the disk.

    Args:
        temporary: The finished file, in the same folder.
        final: Its place.
    """
    temporary.replace(final)
    descriptor = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """Read the last checkpoint that is whole.

    Args:
        folder: The run folder.

    Returns:
        Its content.

    Raises:
        CheckpointError: if there is none; the message says what is wrong with each.
    """
    damage = []
    for name in (CURRENT, PREVIOUS):
        path = folder / name
        try:
            content = _read(path)
        except CheckpointError as error:
            damage.append(str(error))
            continue
        if damage:
            _log.warning("%s; going on from %s", "; ".join(damage), name)
        return content
    raise CheckpointError(f"{folder}: no checkpoint can be read: {'; '.join(damage)}")


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"{path.name} is missing")
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
        if bad is not None:
            raise CheckpointError(f"{path.name} is damaged (checksum of {bad})")
        return torch.load(path, map_location="cpu", weights_only=True)
    except zipfile.BadZipFile as error:
        size = path.stat().st_size
        raise CheckpointError(f"{path.name} is truncated or damaged ({size} bytes)") from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path.name} has something else than plain data in it") from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(f"{path.name} cannot be read ({error})") from error
