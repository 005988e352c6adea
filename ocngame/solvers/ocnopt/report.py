"""What a step tells of itself."""

import math
from dataclasses import asdict, dataclass

__all__ = ["StepInfo"]


@dataclass(frozen=True, kw_only=True)
class StepInfo:
    """What happened in one step.

    Attributes:
        loss: Batch loss before the step.
        accepted: Whether the controls moved; a step with non-finite numbers is refused.
        measured: Whether the batch was taken into the curvature.
        length: Multiple of the direction chosen by the step rule; the sum over several, the mean
            over stages.
        momentum: Multiple of the last move.
        cap: Fraction of the model's move that the room of the loss allowed.
        damping: lambda used.
        predicted: Change of the batch loss predicted by the model, NaN without a model.
        ratio: Measured over predicted change, of this step on its own batch or of the last step on
            this batch, as the damping rule asks; NaN where it was not measured.
        removed: Number of negative curvatures removed by the backward pass.
        refused: Number of steps refused so far.
    """

    loss: float
    accepted: bool
    measured: bool = False
    length: float = math.nan
    momentum: float = math.nan
    cap: float = math.nan
    damping: float = math.nan
    predicted: float = math.nan
    ratio: float = math.nan
    removed: int = 0
    refused: int = 0

    def as_dict(self) -> dict[str, float]:
        """Give all fields as numbers for a log.

        Returns:
            The fields by name.
        """
        return {name: float(value) for name, value in asdict(self).items()}
