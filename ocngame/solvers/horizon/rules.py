r"""Rules by which times move: the second-order policy, and Adam's step as a baseline.

Expansions of single batches are noisy. The second-order rule takes averages for the slope and the
curvature of its policy, with memory b: before a step, with the newest batch's `Q`,

    g <- b g + (1 - b) Q_T,      M <- b M + (1 - b) Q_TT,

divided by what the weights of their terms add up to; the answer to the controls' move, `Q_Tu du`,
is the newest batch's. In the first steps the controls move too far for any expansion: the times
wait.
"""

from dataclasses import dataclass, field

from ocngame._checks import in_range, integer, positive
from ocngame.errors import InvalidInputError
from ocngame.solvers.horizon.expansion import GaussNewtonTimes, TimeCurvature

__all__ = ["FirstOrderTimes", "SecondOrderTimes"]


@dataclass(frozen=True, kw_only=True)
class SecondOrderTimes:
    """The feedback policy on the controls' move.

    Attributes:
        curvature: Which second derivatives are taken.
        start: Steps of the controls before the first move of the times.
        every: Steps of the controls from one move of the times to the next.
        memory: b, memory of the averages; 0 for the newest batch alone.
        radius: Greatest move of a time, as a part of the length of time of its block.
    """

    curvature: TimeCurvature = field(default_factory=GaussNewtonTimes)
    start: int = 10
    every: int = 2
    memory: float = 0.9
    radius: float = 0.1

    def __post_init__(self) -> None:
        """Validate the settings."""
        if not isinstance(self.curvature, TimeCurvature):
            raise InvalidInputError(f"curvature: expected a TimeCurvature, got {self.curvature!r}")
        integer("start", self.start, low=0)
        integer("every", self.every, low=1)
        in_range("memory", self.memory, low=0.0, high=1.0, high_open=True)
        positive("radius", self.radius)


@dataclass(frozen=True, kw_only=True)
class FirstOrderTimes:
    """Adam's step (Kingma & Ba, 2015, algorithm 1) on the gradient of the controls' own pass.

    Attributes:
        lr: Learning rate, in units of time.
        start: Steps of the controls before the first move of the times.
        beta_1: Memory of the mean of gradients.
        beta_2: Memory of the mean of their squares.
    """

    lr: float = 1e-2
    start: int = 10
    beta_1: float = 0.9
    beta_2: float = 0.999

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("lr", self.lr)
        integer("start", self.start, low=0)
        in_range("beta_1", self.beta_1, low=0.0, high=1.0, high_open=True)
        in_range("beta_2", self.beta_2, low=0.0, high=1.0, high_open=True)
