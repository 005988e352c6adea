"""Which steps measure curvature and which factorise it: costs that are spread over steps."""

from dataclasses import dataclass

from ocngame._checks import integer

__all__ = ["Rhythm"]


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """Curvature is measured and factorised often at first, when it changes fast, later less.

    Attributes:
        first: Number of steps at the start that all measure.
        measure_every: Steps between measurements after these.
        refresh_every: Most steps between factorisations; early on, the gap is a quarter of the
            steps made.
    """

    first: int = 20
    measure_every: int = 4
    refresh_every: int = 20

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("first", self.first, low=1)
        integer("measure_every", self.measure_every, low=1)
        integer("refresh_every", self.refresh_every, low=1)

    def measures(self, step: int) -> bool:
        """Say whether a step measures.

        Args:
            step: Number of accepted steps before it.

        Returns:
            Whether its batch is taken into the curvature.
        """
        return step < self.first or (step - self.first) % self.measure_every == 0

    def refreshes(self, step: int, last: int) -> bool:
        """Say whether a step that measures also factorises.

        Args:
            step: Number of accepted steps before it.
            last: The step that factorised last; negative if none has.

        Returns:
            Whether the curvature is factorised.
        """
        return last < 0 or step - last >= min(self.refresh_every, 1 + step // 4)
