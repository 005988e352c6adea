"""Settings of the integration time in the continuous-time job."""

from dataclasses import dataclass
from typing import Literal, get_args

from ocngame._checks import non_negative, one_of, positive

__all__ = ["TimesSettings"]

TimesRule = Literal["fixed", "first_order", "second_order"]


@dataclass(frozen=True, kw_only=True)
class TimesSettings:
    """Whether the integration time is a control, and by which rule it moves.

    Steps keep their length, so that their number follows the time.

    Attributes:
        rule: fixed: it stays 1; second_order: a policy that answers the move of the weights;
            first_order: Adam's step.
        cost: Cost of an evaluation of the field in a pass, in units of the loss.
        lr: Learning rate of the first-order rule.
        low: Least time; the length of a step if not given.
        high: Greatest time; 4 if not given, but 1 for series, whose data end there.
    """

    rule: TimesRule = "fixed"
    cost: float = 3e-3
    lr: float = 0.03
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Validate the settings."""
        one_of("times.rule", self.rule, get_args(TimesRule))
        non_negative("times.cost", self.cost)
        positive("times.lr", self.lr)
        for name in ("low", "high"):
            if getattr(self, name) is not None:
                positive(f"times.{name}", getattr(self, name))
