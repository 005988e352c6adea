r"""Damping rules: a constant, or Levenberg-Marquardt by the reduction ratio.

With a step predicted to change the batch loss by `m < 0` and the loss on the same batch measured
after the step, the ratio is `rho = (loss_after - loss_before) / m`. Every `every` steps

    rho > 3/4: lambda <- lambda * factor^every,     rho < 1/4: lambda <- lambda / factor^every

(Martens & Grosse, 1503.05671, section 6.5).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from ocngame._checks import in_range, integer, positive

__all__ = ["DampingRule", "FixedDamping", "LevenbergMarquardt"]


class DampingRule(ABC):
    """Chooses lambda from step to step."""

    @property
    @abstractmethod
    def initial(self) -> float:
        """The first damping."""

    @abstractmethod
    def measures(self, step: int) -> bool:
        """Say whether the loss must be measured again after this step."""

    @abstractmethod
    def adjusted(self, damping: float, ratio: float) -> float:
        """Give the damping after a measured reduction ratio."""


@dataclass(frozen=True, kw_only=True)
class FixedDamping(DampingRule):
    """A constant lambda.

    Attributes:
        damping: lambda.
    """

    damping: float = 1e-3

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("damping", self.damping)

    @property
    def initial(self) -> float:
        """The constant."""
        return self.damping

    def measures(self, step: int) -> bool:
        """Give false: nothing is measured."""
        return False

    def adjusted(self, damping: float, ratio: float) -> float:
        """Give the damping unchanged."""
        return damping


@dataclass(frozen=True, kw_only=True)
class LevenbergMarquardt(DampingRule):
    """lambda by the reduction ratio.

    Attributes:
        start: First lambda.
        every: Steps between measurements, each of which costs one forward pass.
        factor: Change per step, in (0, 1).
        low: Least lambda. Batches that are fitted perfectly would lower lambda for ever.
        high: Largest lambda.
    """

    start: float = 0.03
    every: int = 1
    factor: float = 0.9
    low: float = 1e-2
    high: float = 1e8

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("start", self.start)
        integer("every", self.every, low=1)
        in_range("factor", self.factor, low=0.0, high=1.0, low_open=True, high_open=True)
        positive("low", self.low)
        in_range("high", self.high, low=self.low, high=float("inf"))

    @property
    def initial(self) -> float:
        """The first lambda."""
        return self.start

    def measures(self, step: int) -> bool:
        """Say whether `step` (counted from 0) is due."""
        return step % self.every == 0

    def adjusted(self, damping: float, ratio: float) -> float:
        """Raise or lower lambda."""
        change = self.factor**self.every
        if ratio > 0.75:
            damping *= change
        elif not ratio >= 0.25:
            damping /= change
        return min(max(damping, self.low), self.high)
