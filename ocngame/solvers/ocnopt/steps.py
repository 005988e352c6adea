r"""Step rules: from directions to moves.

`FixedStep`: heavy ball, `v <- momentum v + d`, move `lr v` (torch.optim.SGD's convention).

`ModelStep`: with directions D = [d_1, ..] and the last move v, the move is `D alpha + mu v` with
(alpha, mu) minimising the damped Gauss-Newton model of the batch (Martens & Grosse, 1503.05671,
section 7)

    m(alpha, mu) = p' [D, v] c + 1/2 c' H c,    c = [alpha, mu]'
    H = [D, v]' (Z Z' + lambda I) [D, v]

where `Z'd = sum_t Z_{u,t}' d_t` is read off the batch's own columns, so no further derivative of
the network is needed. With sketched columns H is an unbiased estimate whose relative error is about
`sqrt(2 / (B R))`. Directions are the feedback sweep and, beside it, the open-loop direction: the
model never promises less with feedback than without.

Where the outputs saturate, the Gauss-Newton curvature vanishes while single gradients do not, and
the model promises more than the loss has to give. For a loss with a known lower bound the move is
therefore cut where the promise, half the slope at the minimiser, exceeds the room there is:
`lr |p' move| / 2 <= loss - bound`. On a quadratic with its minimum at the bound this never binds.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import in_range
from ocngame.linalg import Columns

__all__ = ["FixedStep", "ModelStep", "Proposal", "StepLimit", "StepRule"]


@dataclass(frozen=True)
class StepLimit:
    """What bounds a step.

    Attributes:
        lr: Learning rate that will scale the move.
        room: Batch loss minus its lower bound; None if no bound is known.
    """

    lr: float
    room: float | None


@dataclass(frozen=True)
class Proposal:
    """A move of all stages with what the model predicts of it.

    Attributes:
        moves: Control moves before the learning-rate scale, shape (o, i) each.
        length: Sum of alpha, the multiples of the directions (a scalar tensor).
        momentum: mu, the multiple of the last move (a scalar tensor).
        slope: First-order change of the loss along the move, or None without a model.
        curvature: Second-order term of the damped model along the move, or None.
        cap: Fraction of the move that the bound of the loss allowed.
    """

    moves: list[Tensor]
    length: Tensor
    momentum: Tensor
    slope: Tensor | None = None
    curvature: Tensor | None = None
    cap: float = 1.0


class StepRule(ABC):
    """Turns directions into moves."""

    needs_columns: bool = False

    @abstractmethod
    def propose(
        self,
        gradients: Sequence[Tensor],
        directions: Sequence[Sequence[Tensor]],
        last: Sequence[Tensor] | None,
        columns: Sequence[Columns] | None,
        damping: float,
        limit: StepLimit,
    ) -> Proposal:
        """Give the move.

        Args:
            gradients: Mean gradients p of the stages.
            directions: Directions d, each over all stages; the preferred one first.
            last: Last moves v (before the learning-rate scale), None at the first step.
            columns: The batch's per-sample columns; needed by rules with a model.
            damping: lambda.
            limit: Learning rate, and how far the loss can fall.
        """


@dataclass(frozen=True, kw_only=True)
class FixedStep(StepRule):
    """Heavy-ball momentum at the optimizer's learning rate.

    Attributes:
        momentum: Multiple of the last move, in [0, 1).
    """

    momentum: float = 0.0

    def __post_init__(self) -> None:
        """Validate the settings."""
        in_range("momentum", self.momentum, low=0.0, high=1.0, high_open=True)

    def propose(
        self,
        gradients: Sequence[Tensor],
        directions: Sequence[Sequence[Tensor]],
        last: Sequence[Tensor] | None,
        columns: Sequence[Columns] | None,
        damping: float,
        limit: StepLimit,
    ) -> Proposal:
        """Give `momentum v + d`."""
        like = gradients[0]
        moves = list(directions[0])
        if last is not None and self.momentum > 0:
            moves = [self.momentum * v + d for v, d in zip(last, moves, strict=True)]
        return Proposal(moves, like.new_ones(()), like.new_tensor(self.momentum))


@dataclass(frozen=True, kw_only=True)
class ModelStep(StepRule):
    """Length and momentum by the batch's damped Gauss-Newton model.

    Attributes:
        momentum_limit: Largest |mu|.
    """

    needs_columns = True

    momentum_limit: float = 0.95

    def __post_init__(self) -> None:
        """Validate the settings."""
        in_range("momentum_limit", self.momentum_limit, low=0.0, high=1.0)

    def propose(
        self,
        gradients: Sequence[Tensor],
        directions: Sequence[Sequence[Tensor]],
        last: Sequence[Tensor] | None,
        columns: Sequence[Columns] | None,
        damping: float,
        limit: StepLimit,
    ) -> Proposal:
        """Minimise the model over the span of directions and last move."""
        assert columns is not None  # noqa: S101 - guaranteed by needs_columns
        basis = [*directions] if last is None else [*directions, last]
        stacks = [torch.stack(parts) for parts in zip(*basis, strict=True)]
        flat = torch.cat([stack.flatten(1) for stack in stacks], dim=1)
        slope = (flat @ torch.cat([g.flatten() for g in gradients])).double()
        images = torch.stack(
            [
                torch.stack([z.inner(d) for z, d in zip(columns, moves, strict=True)]).sum(0)
                for moves in basis
            ]
        ).flatten(1)
        model = images @ images.mT / columns[0].count[1] + damping * (flat @ flat.mT)
        model = model.double()
        weights = _minimiser(model, slope)
        if last is not None and abs(float(weights[-1])) > self.momentum_limit:
            mu = weights[-1].clamp(-self.momentum_limit, self.momentum_limit)
            alpha = _minimiser(model[:-1, :-1], slope[:-1] + mu * model[:-1, -1])
            weights = torch.cat([alpha, mu.unsqueeze(0)])
        cap = _cap(float(slope @ weights), limit)
        weights = cap * weights
        factors = weights.to(gradients[0].dtype)
        moves = [torch.tensordot(factors, stack, dims=1) for stack in stacks]
        momentum = weights[-1] if last is not None else weights.new_zeros(())
        return Proposal(
            moves,
            weights[: len(directions)].sum(),
            momentum,
            slope @ weights,
            weights @ model @ weights,
            cap,
        )


def _minimiser(model: Tensor, slope: Tensor) -> Tensor:
    """Minimise `slope' c + 1/2 c' model c`; directions may be zero or depend on each other."""
    diagonal = model.diagonal()
    scale = torch.where(diagonal > 0, diagonal.clamp_min(1e-200).rsqrt(), 0.0)
    scaled = scale[:, None] * model * scale
    eye = torch.eye(len(slope), dtype=model.dtype, device=model.device)
    return -scale * torch.linalg.solve(scaled + 1e-9 * eye, scale * slope)


def _cap(slope: float, limit: StepLimit) -> float:
    """Give the fraction of a move whose promise stays within the room."""
    promise = 0.5 * limit.lr * abs(slope)
    if limit.room is None or promise <= limit.room:
        return 1.0
    return max(limit.room, 0.0) / promise
