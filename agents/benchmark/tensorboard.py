"""Curves of a benchmark as event files of TensorBoard, an optional package."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ocngame.errors import InvalidInputError

__all__ = ["require_tensorboard", "write_tensorboard"]


def require_tensorboard() -> Any:
    """Find what writes event files.

    Returns:
        The class.

    Raises:
        InvalidInputError: if the package is not installed.
    """
    try:
        return import_module("torch.utils.tensorboard").SummaryWriter
    except ImportError as error:
        raise InvalidInputError(
            "tensorboard: needs the package tensorboard, which is not installed: "
            "pip install 'ocngame[tensorboard]'"
        ) from error


def write_tensorboard(content: Mapping[str, Any], path: Path) -> None:
    """Write a folder of events for every training.

    Args:
        content: What `summarise` gave.
        path: The folder; TensorBoard reads the folders in it as runs.
    """
    writer_of = require_tensorboard()
    for result in content["results"]:
        if result["kind"] != "training":
            continue
        folder = path / result["cell"]
        for old in folder.glob("events.*"):
            old.unlink()
        writer = writer_of(log_dir=str(folder))
        for team, numbers in result["teams"].items():
            curve = numbers["curve"]
            for measure in ("drawn", "deterministic"):
                for step, value in zip(curve["frames"], curve[measure], strict=True):
                    tag = f"{result['world']}/{team}/{measure}"
                    writer.add_scalar(tag, value, global_step=step)
        curve = result["exploitability_curve"]
        if curve is not None:
            for step, value in zip(curve["frames"], curve["value"], strict=True):
                writer.add_scalar(f"{result['world']}/exploitability", value, global_step=step)
        writer.close()
