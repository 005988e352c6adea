"""Which steps measure curvature and which factorise it: costs that are spread over steps."""

import math
from dataclasses import dataclass

from ocngame._checks import in_range, integer

__all__ = ["Rhythm"]


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """Curvature is measured and factorised often at first, when it changes fast, later less.

    Attributes:
        first: Number of steps at the start that all measure.
        measure_every: Most steps between measurements after these.
        ramp: Steps between measurements as a part of the steps made, as long as that is less than
            `measure_every`; infinite for even gaps from the start.
        refresh_every: Most steps between factorisations; early on, the gap is a quarter of the
            steps made.
    """

    first: int = 20
    measure_every: int = 4
    ramp: float = math.inf
    refresh_every: int = 20

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("first", self.first, low=1)
        integer("measure_every", self.measure_every, low=1)
        in_range("ramp", self.ramp, low=0.0, high=math.inf, low_open=True)
        integer("refresh_every", self.refresh_every, low=1)

    def measures(self, step: int) -> bool:
        """Say whether a step measures.

        Args:
            step: Number of accepted steps before it.

        Returns:
            Whether its batch is taken into the curvature.
        """
        if step < self.first:
            return True
        due = self.first
        while due < step:
            gap = max(1, math.floor(min(self.measure_every, self.ramp * due)))
            if gap == self.measure_every:
                return (step - due) % gap == 0
            due += gap
        return due == step

    def refreshes(self, step: int, last: int) -> bool:
        """Say whether a step that measures also factorises.

        Args:
            step: Number of accepted steps before it.
            last: The step that factorised last; negative if none has.

        Returns:
            Whether the curvature is factorised.
        """
        return last < 0 or step - last >= min(self.refresh_every, 1 + step // 4)
