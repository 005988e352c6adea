r"""Step rules: how far to go along the stage game's move, and how much to damp the next one.

With s the slope of the stage condition (what every decision maker sees of its own control), S its
Jacobian with the true curvatures and d the move for damping lambda, `JudgedStep` goes

    t = min(lr, -s . S d / |S d|^2)     (the second is where |s + t S d| is least, if it is ahead)

and judges by the reduction ratio: where `|s + t S d| < |s|`, by

    rho = (|s| - |s(u + t d)|) / (|s| - |s + t S d|)

Where own curvature was taken out, the slopes may have to grow before they vanish: the move leads
away from a stationary point that is a player's maximum. There the linear model itself is judged,
`rho = 1 - |s(u + t d) - s - t S d| / |t S d|`. One decision maker alone is judged by its cost, as
in Levenberg and Marquardt's method. A move below `least` is taken back, and lambda raised, until
one is accepted: every quantity is measured on one batch.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from ocngame._checks import in_range, integer, non_negative, positive

__all__ = ["JudgedStep", "PlainStep", "PlayerStep"]


class PlayerStep(ABC):
    """Rule for length and damping."""

    @property
    @abstractmethod
    def initial(self) -> float:
        """The first lambda."""


@dataclass(frozen=True, kw_only=True)
class PlainStep(PlayerStep):
    """The stage game's own move times `lr`, never judged.

    Attributes:
        damping: lambda, added to every own block.
    """

    damping: float = 0.0

    def __post_init__(self) -> None:
        """Validate the settings."""
        non_negative("damping", self.damping)

    @property
    def initial(self) -> float:
        """The constant."""
        return self.damping


@dataclass(frozen=True, kw_only=True)
class JudgedStep(PlayerStep):
    """Length by the model, damping by the reduction ratio.

    Attributes:
        start: First lambda, in units of a cost's curvature.
        least: Ratio below which a move is taken back.
        low: Ratio below which lambda is raised.
        high: Ratio above which lambda is lowered.
        factor: Factor of a change.
        attempts: Most moves that are tried in one step.
        floor: Least lambda.
        ceiling: Largest lambda.
    """

    start: float = 0.03
    least: float = 0.5
    low: float = 0.7
    high: float = 0.9
    factor: float = 4.0
    attempts: int = 12
    floor: float = 1e-10
    ceiling: float = 1e10

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("floor", self.floor)
        in_range("ceiling", self.ceiling, low=self.floor, high=float("inf"))
        in_range("start", self.start, low=self.floor, high=self.ceiling)
        in_range("least", self.least, low=0.0, high=1.0)
        in_range("low", self.low, low=self.least, high=1.0)
        in_range("high", self.high, low=self.low, high=float("inf"))
        in_range("factor", self.factor, low=1.0, high=float("inf"), low_open=True)
        integer("attempts", self.attempts, low=1)

    @property
    def initial(self) -> float:
        """The first lambda."""
        return self.start

    def adjusted(self, damping: float, ratio: float) -> float:
        """Give the damping after a measured ratio.

        Args:
            damping: lambda of the move.
            ratio: rho; NaN raises lambda.

        Returns:
            The next lambda.
        """
        if ratio > self.high:
            damping /= self.factor
        elif not ratio >= self.low:
            damping *= self.factor
        return min(max(damping, self.floor), self.ceiling)
