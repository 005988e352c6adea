r"""The recursion with everything of a stage in one matrix, for few games at a time.

A quadratic function of z = (x, u, 1) is one matrix, and so is what the policies make of y = (x, 1):

    Q^i = 1/2 z' H^i z,    y_next = F z,  F = [[A, B, c], [0, 0, 1]],    z = W y,  W = [[I, 0], [K, k], [0, 1]]

    H^i_t = L^i_t + F' V^i_{t+1} F,     V^i_t = W' H^i_t W                    (values)
    H^i_t = L^i_t + F' C^i_{t+1} F,     C^i_t = (rows x of H^i_t) W           (costates)

with L the stage's costs; C has no row for the 1. The stage condition picks player i's own rows u of
`H^i` as in `ocngame.bellman.stage_game`. A stage takes some twenty operations in the place of over
a hundred; small games are made of nothing but calls. The players' matrices lie row by row side by
side, shapes (..., n+1, N, n+1) for V and (..., n+m+1, N, n+m+1) for H, so that every product is
one product of two matrices.

Along a trajectory (`ocngame.bellman.curved`) the gradient lambda of the cost-to-go on the path is
carried too, and bends the costs by the curvature of the dynamics.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ocngame.bellman.backward import backward_pass
from ocngame.bellman.stage_game import StageCertificate, StageRule
from ocngame.games.information import InformationStructure

__all__ = ["JoinedGame", "JoinedPass", "joined_pass", "joins"]

JOINING = {
    InformationStructure.FEEDBACK,
    InformationStructure.OPEN_LOOP,
    InformationStructure.ZERO_SUM,
    InformationStructure.COOPERATIVE,
}


def joins(rule: StageRule) -> bool:
    """Say whether a rule's condition is one of own rows or of a weighted sum.

    Args:
        rule: Who moves, under which information.

    Returns:
        Whether `joined_pass` can solve it.
    """
    return rule.information in JOINING


@dataclass(frozen=True, kw_only=True)
class JoinedGame:
    """A game in joined matrices, at most one batch dimension in front.

    Attributes:
        moves: F, shape (..., T, n+1, n+m+1).
        costs: L of the stages, shape (..., T, n+m+1, N, n+m+1).
        terminal: V at stage T, shape (..., n+1, N, n+1).
        state_size: State size n.
        slopes: Gradients of the running costs on the path, shape (..., T, N, n+m), or None if no
            path is followed.
        bends: Second derivatives of the dynamics, shape (..., T, n+m+1, n, n+m+1), or None.
    """

    moves: Tensor
    costs: Tensor
    terminal: Tensor
    state_size: int
    slopes: Tensor | None = None
    bends: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class JoinedPass:
    """What the pass gives.

    Attributes:
        feedforward: k, shape (..., T, m).
        feedback: K, shape (..., T, m, n).
        values: V of the stages 0 .. T, shape (..., T+1, n+1, N, n+1); C in open loop, without the
            last row.
        certificate: Certificate of all stages, T the last dimension of the batch.
        path: Gradients lambda of the stages 0 .. T on the path, shape (..., T+1, N, n), or None.
        gradient: Gradients in the controls on the path, shape (..., T, N, m), or None.
    """

    feedforward: Tensor
    feedback: Tensor
    values: Tensor
    certificate: StageCertificate
    path: Tensor | None
    gradient: Tensor | None

    def batched(self) -> "JoinedPass":
        """Put a batch dimension of one in front.

        Returns:
            The same pass.
        """
        certificate = self.certificate
        return JoinedPass(
            feedforward=self.feedforward.unsqueeze(0),
            feedback=self.feedback.unsqueeze(0),
            values=self.values.unsqueeze(0),
            certificate=StageCertificate(
                curvature=tuple(block.unsqueeze(0) for block in certificate.curvature),
                system=certificate.system.unsqueeze(0),
                pivots=certificate.pivots.unsqueeze(0),
            ),
            path=None if self.path is None else self.path.unsqueeze(0),
            gradient=None if self.gradient is None else self.gradient.unsqueeze(0),
        )


class _Value(NamedTuple):
    """V or C, shape (..., rows, N (n+1)), and lambda (..., N, n)."""

    matrix: Tensor
    slope: Tensor | None


class _Q(NamedTuple):
    """H, shape (..., (n+m+1) N, n+m+1), and the gradient on the path (..., N, n+m)."""

    matrix: Tensor
    slope: Tensor | None


class _Found(NamedTuple):
    """What `solve` says of a stage: own rows, the same scaled, their LU factors, the gradient."""

    rows: Tensor
    scaled: Tensor
    factors: Tensor
    slope: Tensor | None


class _Shapes(NamedTuple):
    """Views of the products, with the batch in front."""

    tall: tuple[int, ...]
    wide: tuple[int, ...]
    value: tuple[int, ...]
    square: tuple[int, ...]
    costate: tuple[int, ...]
    along: tuple[int, ...]


@dataclass(frozen=True)
class _Frame:
    """What all stages share."""

    n: int
    m: int
    players: int
    costates: bool
    own: Tensor | None
    weights: Tensor | None
    pick: Tensor
    top: Tensor
    bottom: Tensor
    blank: Tensor
    tiny: float
    shapes: _Shapes
    times: Callable[..., Tensor]
    plus: Callable[..., Tensor]

    def evaluate(self, q: _Q, closed: Tensor) -> _Value:
        """Give the value of playing the closed loop W, or the costate along it."""
        n, slope = self.n, q.slope
        if self.costates:
            value = self.times(q.matrix.narrow(-2, 0, n * self.players), closed)
            slope = None if slope is None else slope.narrow(-1, 0, n)
            return _Value(value.view(self.shapes.costate), slope)
        half = self.times(q.matrix, closed).view(self.shapes.wide)
        half = self.plus(self.blank, closed.mT, half, beta=0, alpha=0.5).view(self.shapes.square)
        value = (half + half.transpose(-3, -1)).view(self.shapes.value)
        if slope is not None:
            slope = self.times(slope, closed.narrow(-2, 0, n + self.m).narrow(-1, 0, n))
        return _Value(value, slope)


class _Stage(NamedTuple):
    """One stage; the members are slices of a `JoinedGame`."""

    frame: _Frame
    move: Tensor
    turned: Tensor
    cost: Tensor
    slope: Tensor | None
    jacobian: Tensor | None
    bend: Tensor | None

    def expand(self, value: _Value) -> _Q:
        """Expand Q, and the gradient on the path."""
        frame, cost, slope = self.frame, self.cost, None
        if self.slope is not None:
            slope = frame.plus(self.slope, value.slope, self.jacobian)
            if self.bend is not None:
                cost = _bent(cost, value.slope, self.bend)
        along = frame.times(self.turned, value.matrix).view(frame.shapes.along)
        return _Q(frame.plus(cost.view(frame.shapes.tall), along, self.move), slope)

    def solve(self, q: _Q) -> tuple[Tensor, _Found]:
        """Solve the stage's condition, and give the closed loop W."""
        frame = self.frame
        if frame.own is not None:
            rows = q.matrix.index_select(-2, frame.own)
        else:
            rows = q.matrix.unflatten(-2, (-1, frame.players))[..., frame.n : -1, :, :]
            if frame.weights is not None:
                rows = rows * frame.weights[..., None, :, None]
            rows = rows.sum(-2)
        system = rows.narrow(-1, frame.n, frame.m)
        size = torch.linalg.vector_norm(system.detach(), torch.inf, -1, keepdim=True)
        scaled = rows / size.clamp_min(frame.tiny)
        factors, order, _ = torch.linalg.lu_factor_ex(scaled.narrow(-1, frame.n, frame.m))
        answer = torch.matmul(torch.linalg.lu_solve(factors, order, scaled), frame.pick)
        closed = torch.cat([frame.top, answer, frame.bottom], dim=-2)
        return closed, _Found(rows, scaled, factors, q.slope)


def joined_pass(game: JoinedGame, rule: StageRule) -> JoinedPass:
    """Solve a game by values, or by costates in open loop.

    Args:
        game: The game.
        rule: Who moves, under which information; one that `joins`.

    Returns:
        Policies, values and the certificate. Singular stages give numbers that are not finite.
    """
    frame = _frame(game, rule)
    batch = game.moves.shape[:-3]
    at = len(batch)
    stages = zip(
        game.moves.unbind(at),
        game.moves.mT[..., :, : frame.n + (not frame.costates)].unbind(at),
        game.costs.unbind(at),
        _unbound(game.slopes, at, game),
        game.moves[..., : frame.n, : frame.n + frame.m].unbind(at),
        _unbound(game.bends, at, game),
        strict=True,
    )
    rows = frame.n if frame.costates else frame.n + 1
    terminal = _Value(
        game.terminal[..., :rows, :, :].flatten(-2),
        None if game.slopes is None else game.terminal[..., -1, :, : frame.n],
    )
    found = backward_pass([_Stage(frame, *parts) for parts in stages], terminal, frame.evaluate)
    answer = torch.stack(found.policies, dim=at)[..., frame.n : frame.n + frame.m, :]
    values = torch.stack([value.matrix for value in found.values], dim=at)
    path = gradient = None
    if game.slopes is not None:
        path = torch.stack([value.slope for value in found.values], dim=at)
        gradient = torch.stack([part.slope for part in found.certificates], dim=at)
        gradient = gradient[..., frame.n :]
    return JoinedPass(
        feedforward=answer[..., -1],
        feedback=answer[..., :-1],
        values=values.unflatten(-1, (frame.players, frame.n + 1)),
        certificate=_certificate(frame, rule, found.certificates, at),
        path=path,
        gradient=gradient,
    )


def _certificate(
    frame: _Frame, rule: StageRule, found: list[_Found], at: int
) -> StageCertificate:
    columns = slice(frame.n, frame.n + frame.m)
    rows = torch.stack([part.rows for part in found], dim=at)[..., columns]
    scaled = torch.stack([part.scaled for part in found], dim=at)[..., columns]
    factors = torch.stack([part.factors for part in found], dim=at).detach()
    blocks, start = [], 0
    for block in rule.slices if frame.own is not None else (slice(0, frame.m),):
        stop = start + block.stop - block.start
        blocks.append(rows[..., start:stop, block])
        start = stop
    pivots = factors.diagonal(dim1=-2, dim2=-1)
    return StageCertificate(curvature=tuple(blocks), system=scaled, pivots=pivots)


def _frame(game: JoinedGame, rule: StageRule) -> _Frame:
    n, players = game.state_size, game.costs.shape[-2]
    z = game.costs.shape[-1]
    m, like = z - n - 1, game.costs
    eye = torch.eye(z, dtype=like.dtype, device=like.device)
    ends = torch.cat([eye[:, :n], eye[:, -1:]], dim=1)
    own = None
    if rule.information is not InformationStructure.COOPERATIVE:
        own = (rule.own_rows + n * players).to(like.device)
    batch, y = game.moves.shape[:-3], n + 1
    shapes = _Shapes(
        tall=(*batch, z * players, z),
        wide=(*batch, z, players * y),
        value=(*batch, y, players * y),
        square=(*batch, y, players, y),
        costate=(*batch, n, players * y),
        along=(*batch, z * players, y),
    )
    return _Frame(
        n=n,
        m=m,
        players=players,
        costates=rule.information is InformationStructure.OPEN_LOOP,
        own=own,
        weights=None if rule.weights is None else rule.weights.to(like),
        pick=-ends,
        top=ends[:n].expand(*batch, n, y),
        bottom=ends[-1:].expand(*batch, 1, y),
        blank=like.new_zeros(()),
        tiny=torch.finfo(like.dtype).tiny,
        shapes=shapes,
        times=torch.bmm if batch else torch.mm,
        plus=torch.baddbmm if batch else torch.addmm,
    )


def _unbound(part: Tensor | None, at: int, game: JoinedGame) -> tuple:
    return (None,) * game.moves.shape[at] if part is None else part.unbind(at)


def _bent(cost: Tensor, slope: Tensor, bend: Tensor) -> Tensor:
    """Add the curvature of the dynamics, weighted with lambda, to the costs."""
    if cost.ndim == 3:
        return torch.baddbmm(cost, slope.expand(len(cost), -1, -1), bend)
    return cost + slope.unsqueeze(1) @ bend
