r"""The recursion with everything of a stage in one matrix, for few games at a time.

A quadratic function of z = (x, u, 1) is one matrix, and so is what the policies make of y = (x, 1):

    Q^i = 1/2 z' H^i z,    y_next = F z,  F = [[A, B, c], [0, 0, 1]],
    u = K x + k:    z = W y,  W = [[I, 0], [K, k], [0, 1]]

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

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.bellman.backward import backward_pass
from ocngame.bellman.joined_stage import Frame, JoinedStage, JoinedValue, Shapes
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
        path: Gradients lambda of the stages 0 .. T on the path, shape (..., T+1, N, n); empty if
            none is followed.
        gradient: Gradients in the controls on the path, shape (..., T, N, m); empty likewise.
    """

    feedforward: Tensor
    feedback: Tensor
    values: Tensor
    certificate: StageCertificate
    path: Tensor
    gradient: Tensor

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
            path=self.path.unsqueeze(0),
            gradient=self.gradient.unsqueeze(0),
        )


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
    picks, scale = _picks(game, rule, frame)
    stages = zip(
        picks.unbind(at),
        game.moves.unbind(at),
        game.moves.mT[..., :, : frame.n + (not frame.costates)].unbind(at),
        game.costs.unbind(at),
        _unbound(game.slopes, at, game),
        game.moves[..., : frame.n, : frame.n + frame.m].unbind(at),
        _unbound(game.bends, at, game),
        strict=True,
    )
    rows = frame.n if frame.costates else frame.n + 1
    terminal = JoinedValue(
        game.terminal[..., :rows, :, :].flatten(-2),
        None if game.slopes is None else game.terminal[..., -1, :, : frame.n],
    )
    found = backward_pass(
        [JoinedStage(frame, *parts) for parts in stages], terminal, frame.evaluate
    )
    answer = torch.stack(found.policies, dim=at)[..., frame.n : frame.n + frame.m, :]
    values = torch.stack([value.matrix for value in found.values], dim=at)
    rows = torch.stack([part.rows for part in found.certificates], dim=at)
    path = gradient = rows.new_zeros(0)
    if game.slopes is not None:
        path = torch.stack([value.slope for value in found.values], dim=at)
        gradient = torch.stack([part.slope for part in found.certificates], dim=at)
        gradient = gradient[..., frame.n :]
    return JoinedPass(
        feedforward=answer[..., -1],
        feedback=answer[..., :-1],
        values=values.unflatten(-1, (frame.players, frame.n + 1)),
        certificate=_certificate(frame, rule, rows * scale),
        path=path,
        gradient=gradient,
    )


def _picks(game: JoinedGame, rule: StageRule, frame: Frame) -> tuple[Tensor, Tensor]:
    """Give what makes the condition's rows of H, and by how much they are scaled up again.

    The rows of player i are divided by the largest entry of its own control costs, so that the
    order of the pivots does not depend on the units of a player's cost.

    Returns:
        The matrix (..., T, m, (n+m+1) N), and the factors (..., T, m, 1).
    """
    n, m, players, like = frame.n, frame.m, frame.players, game.costs
    eye = torch.eye(m + n + 1, dtype=like.dtype, device=like.device)[n : n + m]
    if rule.information is InformationStructure.COOPERATIVE:
        weights = like.new_ones(players) if rule.weights is None else rule.weights.to(like)
        pick = eye.unsqueeze(-1) * weights[..., None, None, :]
    else:
        blocks = [range(block.start, block.stop) for block in rule.slices]
        owners = torch.tensor([i for i, block in enumerate(blocks) for _ in block])
        order = torch.tensor([row for block in blocks for row in block])
        who = torch.nn.functional.one_hot(owners, players).to(like)
        pick = eye[order.to(like.device)].unsqueeze(-1) * who.unsqueeze(-2)
    pick = pick.flatten(-2).unsqueeze(-3)
    controls = game.costs.detach()[..., n : n + m].flatten(-3, -2)
    scale = (pick @ controls).abs().amax(-1, keepdim=True)
    scale = torch.where(scale > 0, scale, 1)
    return pick / scale, scale


def _certificate(frame: Frame, rule: StageRule, rows: Tensor) -> StageCertificate:
    system = rows[..., frame.n : frame.n + frame.m]
    blocks, start = [], 0
    together = rule.information is InformationStructure.COOPERATIVE
    for block in (slice(0, frame.m),) if together else rule.slices:
        stop = start + block.stop - block.start
        blocks.append(system[..., start:stop, block])
        start = stop
    size = system.detach().abs().amax(-1, keepdim=True)
    scaled = system / size.clamp_min(torch.finfo(size.dtype).tiny)
    factors = torch.linalg.lu_factor_ex(scaled.detach())[0]
    pivots = factors.diagonal(dim1=-2, dim2=-1)
    return StageCertificate(curvature=tuple(blocks), system=scaled, pivots=pivots)


def _frame(game: JoinedGame, rule: StageRule) -> Frame:
    n, players = game.state_size, game.costs.shape[-2]
    z = game.costs.shape[-1]
    m, like = z - n - 1, game.costs
    eye = torch.eye(z, dtype=like.dtype, device=like.device)
    ends = torch.cat([eye[:, :n], eye[:, -1:]], dim=1)
    batch, y = game.moves.shape[:-3], n + 1
    shapes = Shapes(
        tall=(*batch, z * players, z),
        wide=(*batch, z, players * y),
        value=(*batch, y, players * y),
        square=(*batch, y, players, y),
        costate=(*batch, n, players * y),
        along=(*batch, z * players, y),
    )
    return Frame(
        n=n,
        m=m,
        players=players,
        costates=rule.information is InformationStructure.OPEN_LOOP,
        columns=-ends,
        top=ends[:n].expand(*batch, n, y),
        bottom=ends[-1:].expand(*batch, 1, y),
        blank=like.new_zeros(()),
        shapes=shapes,
        times=torch.bmm if batch else torch.mm,
        plus=torch.baddbmm if batch else torch.addmm,
    )


def _unbound(part: Tensor | None, at: int, game: JoinedGame) -> tuple:
    return (None,) * game.moves.shape[at] if part is None else part.unbind(at)
