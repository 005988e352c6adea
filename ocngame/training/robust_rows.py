"""Rows of a robust run's metrics: what each number means, and how they are read back."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["RobustRow", "read_robust_rows"]


@dataclass(frozen=True, kw_only=True)
class RobustRow:
    """What is known of one rival after one step.

    Attributes:
        step: Steps made.
        method: Name of the rival.
        loss: Cross-entropy on the step's batch as the method knows it, before the step.
        gap: Divergence that the adversary made, NaN where the method does not know it.
        accepted: Whether the step was made.
        clean: Share of test samples that are right.
        robust: Share that stays right under 10 ascents from one start: a quick upper bound.
        passes: Forward and backward passes over batches so far.
        cpu_seconds: Processor time of all steps so far, without these measurements.
    """

    step: int
    method: str
    loss: float
    gap: float
    accepted: bool
    clean: float
    robust: float
    passes: int
    cpu_seconds: float


def read_robust_rows(path: Path) -> list[RobustRow]:
    """Read the rows of a run back.

    Args:
        path: The file; a last line that was cut off is left out.

    Returns:
        The rows; numbers that were not finite are NaN.
    """
    rows = []
    for line in path.read_text().split("\n")[:-1]:
        values: dict[str, Any] = json.loads(line)
        values |= {name: math.nan for name, value in values.items() if value is None}
        rows.append(RobustRow(**values))
    return rows
