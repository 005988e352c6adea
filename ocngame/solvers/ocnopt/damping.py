r"""Damping rules: a constant, or Levenberg-Marquardt by the reduction ratio.

A step predicted to change the batch loss by `m < 0` is judged by the ratio `rho = change / m` of
the measured to the predicted change. Every `every` steps

    rho > high: lambda <- lambda * factor^every,     rho < low: lambda <- lambda / factor^every

(Martens & Grosse, 1503.05671, section 6.5, measure on the batch of the step itself). Where a batch
holds fewer samples than are needed to fix the controls, every step keeps its promise on its own
batch, and lambda falls whatever the step does to the other samples. The default is therefore to
measure on the next batch, which the step has not seen: the loss there after the step is known from
the next rollout, the one before it costs a forward pass with the last move taken back. On one batch
for ever the two agree, one step apart.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from ocngame._checks import in_range, integer, one_of, positive

__all__ = ["DampingRule", "FixedDamping", "Judge", "LevenbergMarquardt"]


class Judge(StrEnum):
    """On which batch a step is judged.

    Attributes:
        NOBODY: On none.
        SAME_BATCH: On the batch that the step was made for.
        NEXT_BATCH: On the batch of the next step.
    """

    NOBODY = "nobody"
    SAME_BATCH = "same_batch"
    NEXT_BATCH = "next_batch"


class DampingRule(ABC):
    """Chooses lambda from step to step."""

    judge: Judge
    """The batch that `adjusted` wants the reduction ratio of."""

    @property
    @abstractmethod
    def initial(self) -> float:
        """The first damping."""

    @abstractmethod
    def measures(self, step: int) -> bool:
        """Say whether the step made as number `step`, from 0, is judged."""

    @abstractmethod
    def adjusted(self, damping: float, ratio: float) -> float:
        """Give the damping after a measured reduction ratio."""


@dataclass(frozen=True, kw_only=True)
class FixedDamping(DampingRule):
    """A constant lambda.

    Attributes:
        damping: lambda.
    """

    judge: ClassVar[Judge] = Judge.NOBODY  # pyright: ignore[reportIncompatibleVariableOverride]

    damping: float = 1.5e-4

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
        judge: The batch that steps are judged on.
        every: Steps between measurements, each of which costs one forward pass.
        factor: Change per step, in (0, 1).
        low: Ratio below which lambda is raised.
        high: Ratio above which lambda is lowered.
        least: Least lambda.
        most: Largest lambda.
    """

    start: float = 0.03
    judge: Judge = Judge.NEXT_BATCH
    every: int = 1
    factor: float = 0.95
    low: float = 0.25
    high: float = 0.5
    least: float = 1e-4
    most: float = 1e8

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("start", self.start)
        one_of("judge", self.judge, Judge)
        object.__setattr__(self, "judge", Judge(self.judge))
        integer("every", self.every, low=1)
        in_range("factor", self.factor, low=0.0, high=1.0, low_open=True, high_open=True)
        in_range("low", self.low, low=0.0, high=1.0)
        in_range("high", self.high, low=self.low, high=float("inf"))
        positive("least", self.least)
        in_range("most", self.most, low=self.least, high=float("inf"))

    @property
    def initial(self) -> float:
        """The first lambda."""
        return self.start

    def measures(self, step: int) -> bool:
        """Say whether `step` is due."""
        return step % self.every == 0

    def adjusted(self, damping: float, ratio: float) -> float:
        """Raise or lower lambda; a ratio that is NaN raises it."""
        change = self.factor**self.every
        if ratio > self.high:
            damping *= change
        elif not ratio >= self.low:
            damping /= change
        return min(max(damping, self.least), self.most)
