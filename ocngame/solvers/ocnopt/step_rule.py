"""What a step rule is told and what it answers."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from ocngame.linalg import Columns

__all__ = ["Proposal", "Situation", "StepLimit", "StepRule"]


@dataclass(frozen=True, kw_only=True)
class StepLimit:
    """What bounds a step.

    Attributes:
        rates: Learning rate of every stage, which scales its move.
        loss: Batch loss before the step.
        bound: Lower bound of the loss; None if none is known.
        most_promise: The most that the slope of a step can promise; None if there is no bound.
        sizes: |u|, the norm of every stage's control; None where the rule does not ask.
    """

    rates: Sequence[float]
    loss: float
    bound: float | None
    most_promise: float | None = None
    sizes: Tensor | None = None

    @property
    def room(self) -> float | None:
        """How far the batch loss can fall."""
        return None if self.bound is None else self.loss - self.bound


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a step rule decides on.

    Attributes:
        gradients: Mean gradients p of the stages, shape (o, i) each.
        averages: Running averages of the gradients, which the directions are made from.
        directions: Directions d, each over all stages; the preferred one first.
        last: Last moves v (before the learning rates), None if nothing is remembered of them.
        columns: The batch's per-sample columns; None where this step did not measure them.
        damping: lambda.
        limit: Learning rates, and how far the loss can fall.
        fading: Factor of curvature that is remembered, in (0, 1].
        overstated: By how much the size of `averages` is above that of today's gradients.
        memory: What the rule gave as memory at the last step; empty at the first.
    """

    gradients: Sequence[Tensor]
    averages: Sequence[Tensor]
    directions: Sequence[Sequence[Tensor]]
    last: Sequence[Tensor] | None
    columns: Sequence[Columns] | None
    damping: float
    limit: StepLimit
    fading: float = 1.0
    overstated: float = 1.0
    memory: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A move of all stages with what the model predicts of it.

    Attributes:
        moves: Control moves before the learning rates, shape (o, i) each.
        length: Multiple of the direction; the sum over several, the mean over stages.
        momentum: mu, the multiple of the last move.
        predicted: Change of the loss that the model predicts for the moves times their learning
            rates, NaN without a model.
        cap: Fraction of the model's move that the room of the loss allowed.
        finite: Whether all moves are finite.
        memory: What the rule wants to be told at the next step.
    """

    moves: list[Tensor]
    length: float
    momentum: float = 0.0
    predicted: float = math.nan
    cap: float = 1.0
    finite: bool = True
    memory: Mapping[str, Tensor] = field(default_factory=dict)


class StepRule(ABC):
    """Turns directions into moves.

    Attributes:
        needs_columns: Whether every step needs the batch's columns.
        uses_columns: Whether the rule reads columns at all.
        needs_last: Whether the rule reads the last move.
        needs_sizes: Whether the rule reads the sizes of the controls.
    """

    needs_columns: ClassVar[bool] = False
    uses_columns: ClassVar[bool] = False
    needs_last: ClassVar[bool] = False
    needs_sizes: ClassVar[bool] = False

    @abstractmethod
    def propose(self, situation: Situation) -> Proposal:
        """Give the move."""
