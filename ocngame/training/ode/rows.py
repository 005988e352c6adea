"""Rows of a continuous-time run's metrics: what each number means, and how they are read back."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ODERow", "read_ode_rows"]


@dataclass(frozen=True, kw_only=True)
class ODERow:
    """What is known of one contender after one step.

    Attributes:
        step: Steps made.
        optimizer: Name of the contender.
        batch_loss: Loss of the step's batch, before the step.
        accepted: Whether the step was made; one with non-finite numbers is refused.
        train_loss: Mean loss over all training samples; of a density the negative log likelihood.
        test_loss: Mean loss over all test samples.
        test_accuracy: Fraction of the test samples classified rightly; NaN without classes.
        evaluations: Evaluations of the field in all steps so far, without those of measurements.
        cpu_seconds: Processor time of all steps so far, without these measurements.
        details: Numbers of the optimizer's own; those of OCNOpt are in `StepInfo`.
    """

    step: int
    optimizer: str
    batch_loss: float
    accepted: bool
    train_loss: float
    test_loss: float
    test_accuracy: float
    evaluations: int
    cpu_seconds: float
    details: dict[str, float] = field(default_factory=dict)


def read_ode_rows(path: Path) -> list[ODERow]:
    """Read the rows of a run back.

    Args:
        path: The file; a last line that was cut off is left out.

    Returns:
        The rows; numbers that were not finite are NaN.
    """
    lines = path.read_text().split("\n")[:-1]
    return [ODERow(**_with_nan(json.loads(line))) for line in lines]


def _with_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_nan(item) for name, item in value.items()}
    return math.nan if value is None else value
