"""Rows of an adversarial run's metrics: what each number means, and how they are read back."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["PlayerRow", "read_player_rows"]


@dataclass(frozen=True, kw_only=True)
class PlayerRow:
    """What is known of one rival after one step.

    Attributes:
        step: Steps made.
        method: Name of the rival.
        costs: Every player's cost on the step's batch, before the step.
        residuals: Norms of the own gradients, before the step.
        accepted: Whether the step was made.
        error: Distance to the equilibrium relative to the start's, NaN where none is known.
        measures: Numbers of the game's own.
        control: The joint control, where it has at most four numbers.
        evaluations: Passes over the costs with a backward pass so far.
        products: Second-order backward passes so far.
        damping: lambda of the step, NaN for first-order methods.
        cpu_seconds: Processor time of all steps so far, without these measurements.
    """

    step: int
    method: str
    costs: list[float]
    residuals: list[float]
    accepted: bool
    error: float
    measures: dict[str, float] = field(default_factory=dict)
    control: list[float] = field(default_factory=list)
    evaluations: int
    products: int
    damping: float
    cpu_seconds: float


def read_player_rows(path: Path) -> list[PlayerRow]:
    """Read the rows of a run back.

    Args:
        path: The file; a last line that was cut off is left out.

    Returns:
        The rows; numbers that were not finite are NaN.
    """
    lines = path.read_text().split("\n")[:-1]
    return [PlayerRow(**_with_nan(json.loads(line))) for line in lines]


def _with_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_nan(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_nan(item) for item in value]
    return math.nan if value is None else value
