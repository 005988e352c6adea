r"""One stage in joined matrices; the formulas stand in `ocngame.bellman.joined`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Frame", "JoinedQ", "JoinedStage", "JoinedValue", "Shapes", "StageRows"]


class JoinedValue(NamedTuple):
    """V or C, shape (..., rows, N (n+1)), and lambda (..., N, n)."""

    matrix: Tensor
    slope: Tensor | None


class JoinedQ(NamedTuple):
    """H, shape (..., (n+m+1) N, n+m+1), and the gradient on the path (..., N, n+m)."""

    matrix: Tensor
    slope: Tensor | None


class StageRows(NamedTuple):
    """What `solve` says of a stage: its condition's rows, and the gradient on the path."""

    rows: Tensor
    slope: Tensor | None


class Shapes(NamedTuple):
    """Views of the products, with the batch in front."""

    tall: tuple[int, ...]
    wide: tuple[int, ...]
    value: tuple[int, ...]
    square: tuple[int, ...]
    costate: tuple[int, ...]
    along: tuple[int, ...]


@dataclass(frozen=True)
class Frame:
    """What all stages share."""

    n: int
    m: int
    players: int
    costates: bool
    columns: Tensor
    top: Tensor
    bottom: Tensor
    blank: Tensor
    shapes: Shapes
    times: Callable[..., Tensor]
    plus: Callable[..., Tensor]

    def evaluate(self, q: JoinedQ, closed: Tensor) -> JoinedValue:
        """Give the value of playing the closed loop W, or the costate along it."""
        n, slope = self.n, q.slope
        if self.costates:
            value = self.times(q.matrix.narrow(-2, 0, n * self.players), closed)
            slope = None if slope is None else slope.narrow(-1, 0, n)
            return JoinedValue(value.view(self.shapes.costate), slope)
        half = self.times(q.matrix, closed).view(self.shapes.wide)
        half = self.plus(self.blank, closed.mT, half, beta=0, alpha=0.5).view(self.shapes.square)
        value = (half + half.transpose(-3, -1)).view(self.shapes.value)
        if slope is not None:
            slope = self.times(slope, closed.narrow(-2, 0, n + self.m).narrow(-1, 0, n))
        return JoinedValue(value, slope)


class JoinedStage(NamedTuple):
    """One stage; the members are slices of a `JoinedGame`."""

    frame: Frame
    pick: Tensor
    move: Tensor
    turned: Tensor
    cost: Tensor
    slope: Tensor | None
    jacobian: Tensor
    bend: Tensor | None

    def expand(self, value: JoinedValue) -> JoinedQ:
        """Expand Q, and the gradient on the path."""
        frame, cost, slope = self.frame, self.cost, None
        if self.slope is not None and value.slope is not None:
            slope = frame.plus(self.slope, value.slope, self.jacobian)
            if self.bend is not None:
                cost = _bent(cost, value.slope, self.bend)
        along = frame.times(self.turned, value.matrix).view(frame.shapes.along)
        return JoinedQ(frame.plus(cost.view(frame.shapes.tall), along, self.move), slope)

    def solve(self, q: JoinedQ) -> tuple[Tensor, StageRows]:
        """Solve the stage's condition, and give the closed loop W."""
        frame = self.frame
        rows = frame.times(self.pick, q.matrix)
        factors, order, _ = torch.linalg.lu_factor_ex(rows.narrow(-1, frame.n, frame.m))
        answer = torch.matmul(torch.linalg.lu_solve(factors, order, rows), frame.columns)
        closed = torch.cat([frame.top, answer, frame.bottom], dim=-2)
        return closed, StageRows(rows, q.slope)


def _bent(cost: Tensor, slope: Tensor, bend: Tensor) -> Tensor:
    """Add the curvature of the dynamics, weighted with lambda, to the costs."""
    if cost.ndim == 3:
        return torch.baddbmm(cost, slope.expand(len(cost), -1, -1), bend)
    return cost + slope.unsqueeze(1) @ bend
