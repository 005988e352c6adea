r"""Step sizes that vanish at the end of a run of known length.

On batches of samples players keep moving about an equilibrium, in a neighbourhood whose radius
grows with the step size. A long step finds the equilibrium, a short one settles: with `p` in [0, 1]
the part of the run that is over,

    lr(p) = lr min(1, (1 - p) / (1 - hold))

is constant while `p <= hold` and falls linearly to zero then.
"""

from dataclasses import dataclass

from ocngame._checks import in_range

__all__ = ["LinearEnd"]


@dataclass(frozen=True, kw_only=True)
class LinearEnd:
    """A constant step size with a linear end.

    Attributes:
        hold: Part of the run before the step size falls, in [0, 1).
    """

    hold: float = 0.5

    def __post_init__(self) -> None:
        """Validate the setting."""
        in_range("hold", self.hold, low=0.0, high=1.0, high_open=True)

    def factor(self, progress: float) -> float:
        """Give the multiple of the first step size.

        Args:
            progress: Part of the run that is over; what is beyond [0, 1] counts as its end.

        Returns:
            A number in [0, 1].
        """
        over = min(max(progress, 0.0), 1.0)
        return min(1.0, (1 - over) / (1 - self.hold))
