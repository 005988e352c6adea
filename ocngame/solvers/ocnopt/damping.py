r"""Damping rules: a constant, or Levenberg-Marquardt by the reduction ratio.

A step predicted to change the batch loss by `m < 0` is judged by the ratio `rho = change / m` of
the measured to the predicted change. Every `every` steps

    rho > high: lambda <- lambda * factor^every,     rho < low: lambda <- lambda / factor^every

* `LevenbergMarquardt` measures on the batch of the step itself (Martens & Grosse, 1503.05671,
  section 6.5). Where a batch holds fewer samples than are needed to fix the controls, every step
  keeps its promise on its own batch, and lambda falls whatever the step does to the other samples.
* `HeldOutDamping` measures on the next batch, which the step has not seen: the loss there after the
  step is known from the next rollout, the one before it costs a forward pass with the last move
  taken back. On one batch for ever the two rules agree, one step apart.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from ocngame._checks import in_range, integer, positive

__all__ = ["DampingRule", "FixedDamping", "HeldOutDamping", "Judge", "LevenbergMarquardt"]


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
    """Chooses lambda from step to step.

    Attributes:
        judge: The batch that `adjusted` wants the reduction ratio of.
    """

    judge: ClassVar[Judge]

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

    judge: ClassVar[Judge] = Judge.NOBODY

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
    """lambda by the reduction ratio on the step's own batch.

    Attributes:
        start: First lambda.
        every: Steps between measurements, each of which costs one forward pass.
        factor: Change per step, in (0, 1).
        least: Least lambda.
        most: Largest lambda.
    """

    judge: ClassVar[Judge] = Judge.SAME_BATCH

    start: float = 0.03
    every: int = 5
    factor: float = 0.95
    least: float = 1e-8
    most: float = 1e8

    def __post_init__(self) -> None:
        """Validate the settings."""
        _check(self)

    @property
    def initial(self) -> float:
        """The first lambda."""
        return self.start

    def measures(self, step: int) -> bool:
        """Say whether `step` is due."""
        return step % self.every == 0

    def adjusted(self, damping: float, ratio: float) -> float:
        """Lower lambda above a ratio of 3/4, raise it below 1/4."""
        return _adjusted(self, damping, ratio, low=0.25, high=0.75)


@dataclass(frozen=True, kw_only=True)
class HeldOutDamping(DampingRule):
    """lambda by the reduction ratio on the next step's batch.

    Attributes:
        start: First lambda.
        every: Steps between measurements, each of which costs one forward pass.
        factor: Change per step, in (0, 1).
        least: Least lambda.
        most: Largest lambda.
    """

    judge: ClassVar[Judge] = Judge.NEXT_BATCH

    start: float = 0.03
    every: int = 1
    factor: float = 0.95
    least: float = 1e-4
    most: float = 1e8

    def __post_init__(self) -> None:
        """Validate the settings."""
        _check(self)

    @property
    def initial(self) -> float:
        """The first lambda."""
        return self.start

    def measures(self, step: int) -> bool:
        """Say whether `step` is due."""
        return step % self.every == 0

    def adjusted(self, damping: float, ratio: float) -> float:
        """Lower lambda above a ratio of 1/2, raise it below 1/4."""
        return _adjusted(self, damping, ratio, low=0.25, high=0.5)


def _check(rule: LevenbergMarquardt | HeldOutDamping) -> None:
    positive("start", rule.start)
    integer("every", rule.every, low=1)
    in_range("factor", rule.factor, low=0.0, high=1.0, low_open=True, high_open=True)
    positive("least", rule.least)
    in_range("most", rule.most, low=rule.least, high=float("inf"))


def _adjusted(
    rule: LevenbergMarquardt | HeldOutDamping,
    damping: float,
    ratio: float,
    *,
    low: float,
    high: float,
) -> float:
    change = rule.factor**rule.every
    if ratio > high:
        damping *= change
    elif not ratio >= low:
        damping /= change
    return min(max(damping, rule.least), rule.most)
