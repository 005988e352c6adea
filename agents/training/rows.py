"""Rows of a multi-agent run's metrics: what each number means, and how they are read back."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["MarlRow", "read_marl_rows"]


@dataclass(frozen=True, kw_only=True)
class MarlRow:
    """What is known of one team after some updates.

    Attributes:
        step: Updates made.
        frames: Steps of a world so far, all agents together.
        team: The team.
        play: Mean return of the training episodes that ended since the last row, over the team's
            agents; NaN if none did.
        drawn: Mean return of measured episodes, actions drawn.
        deterministic: Mean return of measured episodes, most probable actions.
        length: Mean length of the training episodes since the last row, NaN if none ended.
        cpu_seconds: Processor time of play and updates so far, without measurements.
        details: Numbers of the last update of each group, as `group/number`; they are explained in
            `UpdateReport`.
    """

    step: int
    frames: int
    team: str
    play: float
    drawn: float
    deterministic: float
    length: float
    cpu_seconds: float
    details: dict[str, float] = field(default_factory=dict)


def read_marl_rows(path: Path) -> list[MarlRow]:
    """Read the rows of a run back.

    Args:
        path: The file; a last line that was cut off is left out.

    Returns:
        The rows; numbers that were not finite are NaN.
    """
    lines = path.read_text().split("\n")[:-1]
    return [MarlRow(**_with_nan(json.loads(line))) for line in lines]


def _with_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_nan(item) for name, item in value.items()}
    return math.nan if value is None else value
