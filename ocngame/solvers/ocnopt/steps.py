r"""Steps that look at one batch only: heavy ball, and the minimum of the batch's own model.

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

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ocngame._checks import in_range
from ocngame.solvers.ocnopt.step_rule import Proposal, Situation, StepLimit, StepRule

__all__ = ["FixedStep", "ModelStep"]


@dataclass(frozen=True, kw_only=True)
class FixedStep(StepRule):
    """Heavy-ball momentum at the optimizer's learning rate.

    Attributes:
        momentum: Multiple of the last move, in [0, 1).
    """

    needs_last: ClassVar[bool] = True

    momentum: float = 0.0

    def __post_init__(self) -> None:
        """Validate the settings."""
        in_range("momentum", self.momentum, low=0.0, high=1.0, high_open=True)

    def propose(self, situation: Situation) -> Proposal:
        """Give `momentum v + d`."""
        moves = list(situation.directions[0])
        if situation.last is not None and self.momentum > 0:
            moves = [self.momentum * v + d for v, d in zip(situation.last, moves, strict=True)]
        return Proposal(moves=moves, length=1.0, momentum=self.momentum, finite=_finite(moves))


@dataclass(frozen=True, kw_only=True)
class ModelStep(StepRule):
    """Length and momentum by the batch's damped Gauss-Newton model.

    Attributes:
        momentum_limit: Largest |mu|.
    """

    needs_columns: ClassVar[bool] = True
    uses_columns: ClassVar[bool] = True
    needs_last: ClassVar[bool] = True

    momentum_limit: float = 0.95

    def __post_init__(self) -> None:
        """Validate the settings."""
        in_range("momentum_limit", self.momentum_limit, low=0.0, high=1.0)

    def propose(self, situation: Situation) -> Proposal:
        """Minimise the model over the span of directions and last move."""
        columns, last = situation.columns, situation.last
        assert columns is not None  # noqa: S101 - guaranteed by needs_columns
        gradients, directions = situation.gradients, situation.directions
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
        model = images @ images.mT / columns[0].count[1] + situation.damping * (flat @ flat.mT)
        model = model.double()
        weights = _minimiser(model, slope)
        if last is not None and abs(float(weights[-1])) > self.momentum_limit:
            mu = weights[-1].clamp(-self.momentum_limit, self.momentum_limit)
            alpha = _minimiser(model[:-1, :-1], slope[:-1] + mu * model[:-1, -1])
            weights = torch.cat([alpha, mu.unsqueeze(0)])
        cap = _cap(float(slope @ weights), situation.limit)
        weights = cap * weights
        factors = weights.to(gradients[0].dtype)
        moves = [torch.tensordot(factors, stack, dims=1) for stack in stacks]
        lr = max(situation.limit.rates)
        return Proposal(
            moves=moves,
            length=float(weights[: len(directions)].sum()),
            momentum=float(weights[-1]) if last is not None else 0.0,
            predicted=float(lr * (slope @ weights) + 0.5 * lr**2 * (weights @ model @ weights)),
            cap=cap,
            finite=_finite(moves),
        )


def _finite(moves: list[Tensor]) -> bool:
    return bool(torch.isfinite(torch.stack([move.sum() for move in moves])).all())


def _minimiser(model: Tensor, slope: Tensor) -> Tensor:
    """Minimise `slope' c + 1/2 c' model c`; directions may be zero or depend on each other."""
    diagonal = model.diagonal()
    scale = torch.where(diagonal > 0, diagonal.clamp_min(1e-200).rsqrt(), 0.0)
    scaled = scale[:, None] * model * scale
    eye = torch.eye(len(slope), dtype=model.dtype, device=model.device)
    return -scale * torch.linalg.solve(scaled + 1e-9 * eye, scale * slope)


def _cap(slope: float, limit: StepLimit) -> float:
    """Give the fraction of a move whose promise stays within the room."""
    promise = 0.5 * max(limit.rates) * abs(slope)
    if limit.room is None or promise <= limit.room:
        return 1.0
    return max(limit.room, 0.0) / promise
