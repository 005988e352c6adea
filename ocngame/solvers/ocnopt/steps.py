r"""Step rules: from directions to moves.

`FixedStep`: heavy ball, `v <- momentum v + d`, move `lr v` (torch.optim.SGD's convention).

`ModelStep`: with the direction d and the last move v, the move is `alpha d + mu v` with (alpha, mu)
minimising the damped Gauss-Newton model of the batch (Martens & Grosse, 1503.05671, section 7)

    m(alpha, mu) = [p'd, p'v] c + 1/2 c' H c,    c = [alpha, mu]'
    H = [d, v]' (Z Z' + lambda I) [d, v]

where `Z'd = sum_t Z_{u,t}' d_t` is read off the batch's own columns, so no further derivative of
the network is needed. With sketched columns H is an unbiased estimate whose relative error is about
`sqrt(2 / (B R))`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import in_range
from ocngame.linalg import OuterColumns

__all__ = ["FixedStep", "ModelStep", "Proposal", "StepRule"]


@dataclass(frozen=True)
class Proposal:
    """A move of all stages with what the model predicts of it.

    Attributes:
        moves: Control moves before the learning-rate scale, shape (o, i) each.
        length: alpha, the multiple of the direction (a scalar tensor).
        momentum: mu, the multiple of the last move (a scalar tensor).
        slope: First-order change of the loss along the move, or None without a model.
        curvature: Second-order term of the damped model along the move, or None.
    """

    moves: list[Tensor]
    length: Tensor
    momentum: Tensor
    slope: Tensor | None = None
    curvature: Tensor | None = None


class StepRule(ABC):
    """Turns directions into moves."""

    needs_columns: bool = False

    @abstractmethod
    def propose(
        self,
        gradients: Sequence[Tensor],
        directions: Sequence[Tensor],
        last: Sequence[Tensor] | None,
        columns: Sequence[OuterColumns] | None,
        damping: float,
    ) -> Proposal:
        """Give the move.

        Args:
            gradients: Mean gradients p of the stages.
            directions: Directions d of the stages.
            last: Last moves v (before the learning-rate scale), None at the first step.
            columns: The batch's per-sample columns; needed by rules with a model.
            damping: lambda.
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
        directions: Sequence[Tensor],
        last: Sequence[Tensor] | None,
        columns: Sequence[OuterColumns] | None,
        damping: float,
    ) -> Proposal:
        """Give `momentum v + d`."""
        like = gradients[0]
        moves = list(directions)
        if last is not None and self.momentum > 0:
            moves = [self.momentum * v + d for v, d in zip(last, directions, strict=True)]
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
        directions: Sequence[Tensor],
        last: Sequence[Tensor] | None,
        columns: Sequence[OuterColumns] | None,
        damping: float,
    ) -> Proposal:
        """Minimise the model over the span of direction and last move."""
        assert columns is not None  # noqa: S101 - guaranteed by needs_columns
        basis = [directions] if last is None else [directions, last]
        slope = torch.stack([_dot(gradients, d) for d in basis])
        images = torch.stack(
            [
                torch.stack([z.inner(d) for z, d in zip(columns, moves, strict=True)]).sum(0)
                for moves in basis
            ]
        ).flatten(1)
        model = images @ images.mT / columns[0].count[1]
        norms = torch.stack([torch.stack([_dot(a, b) for b in basis]) for a in basis])
        model = (model + damping * norms).double()
        ridge = 1e-10 * model.diagonal().amax().clamp_min(1e-30)
        weights = -torch.linalg.solve(
            model + ridge * torch.eye(len(basis), dtype=model.dtype, device=model.device),
            slope.double(),
        )
        if last is not None:
            mu = weights[1].clamp(-self.momentum_limit, self.momentum_limit)
            alpha = -(slope[0].double() + model[0, 1] * mu) / (model[0, 0] + ridge)
            weights = torch.stack([alpha, mu])
        curvature = weights @ model @ weights
        change = slope.double() @ weights
        weights = weights.to(slope.dtype)
        moves = [weights[0] * d for d in directions]
        if last is not None:
            moves = [m + weights[1] * v for m, v in zip(moves, last, strict=True)]
        momentum = weights[1] if last is not None else weights.new_zeros(())
        return Proposal(moves, weights[0], momentum, change, curvature)


def _dot(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    return torch.stack([(a * b).sum() for a, b in zip(left, right, strict=True)]).sum()
