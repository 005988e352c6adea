r"""What is remembered of earlier steps fades as the loss falls.

Averages over steps mix quantities of different sizes: while a classifier is being fitted its loss
falls by a tenth and more with every step, and with it the gradients and the curvature of the
outputs (`diag(p) - p p'` is of the size of the loss once most samples are right). An average over
ten steps is then of the size of ten steps ago, and a step that is measured by it far too short.
With the room `R = loss - bound` of the batches and its running mean

    Rm_k = a Rm_{k-1} + (1 - a) R_k,        f_k = min(1, Rm_k / min_{j<k} Rm_j)

what is remembered is brought to the level of today before the new sample is mixed in:

    gradients    m_k = beta f_k^g m_{k-1} + (1 - beta) p_k
    curvature    M_k, H_k from f_k^c M_{k-1}, f_k^c H_{k-1}

Only new lows count. A batch of a large loss would otherwise blow up what is remembered, and a loss
that goes up and down at one level would wear the memories out, a little with every fall.

With g = 1 an average has few batches left where the loss falls fast, and follows their noise. With
g < 1 the average is still above today's level, by about `(Rm_k / R_k)^(1 - g)`, and so is the
first-order promise of a step that is made from it: the step rule is told that number
(`Situation.overstated`).

Where no bound of the loss is known there is no level, and nothing fades.
"""

import math
from dataclasses import dataclass

from ocngame._checks import in_range

__all__ = ["Fade", "Level"]

_TINY = 1e-12
"""Least room, as a part of the mean room, that a batch is taken to have."""


@dataclass(frozen=True)
class Level:
    """Where the loss stands against the steps before.

    Attributes:
        mean: Running mean of the room; NaN where no bound is known.
        low: The lowest that the mean has been; NaN where no bound is known.
        gradients: Factor of the remembered gradients, in (0, 1].
        curvature: Factor of the remembered curvature, in (0, 1].
        overstated: By how much the size of averaged gradients is above today's level, at least one.
    """

    mean: float = math.nan
    low: float = math.nan
    gradients: float = 1.0
    curvature: float = 1.0
    overstated: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Fade:
    """How memories follow the fall of the loss.

    Attributes:
        memory: a, the memory of the mean room, in [0, 1).
        gradients: g, the power for gradients, in [0, 1].
        curvature: c, the power for curvature, in [0, 1].
    """

    memory: float = 0.8
    gradients: float = 0.5
    curvature: float = 1.0

    def __post_init__(self) -> None:
        """Validate the settings."""
        in_range("memory", self.memory, low=0.0, high=1.0, high_open=True)
        in_range("gradients", self.gradients, low=0.0, high=1.0)
        in_range("curvature", self.curvature, low=0.0, high=1.0)

    def level(self, before: Level, room: float | None) -> Level:
        """Take in the room of a batch.

        Args:
            before: The level of the batch before; that of no batch is `Level()`.
            room: How far the loss of the batch can fall; None if no bound is known.

        Returns:
            The level of the batch.
        """
        if room is None:
            return Level()
        if not before.low > 0:
            return Level(max(room, 0.0), max(room, 0.0))
        room = max(room, _TINY * before.mean)
        mean = self.memory * before.mean + (1 - self.memory) * room
        fall = min(1.0, mean / before.low)
        return Level(
            mean,
            min(mean, before.low),
            fall**self.gradients,
            fall**self.curvature,
            max(1.0, mean / room) ** (1 - self.gradients),
        )
