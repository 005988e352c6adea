r"""Games brought into joined matrices (`ocngame.bellman.joined`), and values read from them."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from ocngame.bellman.expansions import ValueExpansion
from ocngame.bellman.joined import JoinedGame
from ocngame.bellman.policy import AffinePolicy
from ocngame.games.expansion import Expansion
from ocngame.games.lq import LQGame

__all__ = ["FEW", "join_lq", "join_path", "joined_values", "split_values"]

FEW = 8
"""Up to this many games at a time are solved faster in joined matrices."""


def join_lq(game: LQGame) -> JoinedGame:
    """Join the matrices of linear-quadratic games.

    Args:
        game: The game, at most one batch dimension in front.

    Returns:
        The joined game.
    """
    before = slice(0, game.horizon)
    wide = torch.cat([game.Q[..., before, :, :], game.M], dim=-1)
    own = torch.cat([game.M.mT, game.R], dim=-1)
    slopes = torch.cat([game.q[..., before, :], game.r], dim=-1)
    moves = torch.cat([game.A, game.B, game.c.unsqueeze(-1)], dim=-1)
    return JoinedGame(
        moves=_with_one(moves),
        costs=_side_by_side(_bordered(torch.cat([wide, own], dim=-2), slopes)),
        terminal=_bordered(game.Q[..., -1, :, :], game.q[..., -1, :]).transpose(-3, -2),
        state_size=game.state_size,
    )


def join_path(expansion: Expansion) -> JoinedGame:
    """Join the derivatives along trajectories, in deviations from them.

    Args:
        expansion: Derivatives along B trajectories; one alone loses the batch dimension.

    Returns:
        The joined game, with what a path needs.
    """
    n, alone = expansion.phi_x.shape[-1], len(expansion.phi_x) == 1

    def part(tensor: Tensor) -> Tensor:
        return tensor.squeeze(0) if alone else tensor

    bends = None
    if expansion.f_zz is not None:
        bends = pad(part(expansion.f_zz).transpose(-3, -2), (0, 1, 0, 0, 0, 1))
    l_z, phi_x, phi_xx = part(expansion.l_z), part(expansion.phi_x), part(expansion.phi_xx)
    return JoinedGame(
        moves=_with_one(pad(part(expansion.f_z), (0, 1))),
        costs=_side_by_side(_bordered(part(expansion.l_zz), l_z)),
        terminal=_bordered(phi_xx, phi_x).transpose(-3, -2),
        state_size=n,
        slopes=l_z.transpose(-3, -2),
        bends=bends,
    )


def joined_values(game: JoinedGame, policies: AffinePolicy) -> Tensor:
    """Give the values of playing given policies.

    Args:
        game: The game, without a path.
        policies: k (..., T, m) and K (..., T, m, n).

    Returns:
        V of the stages 0 .. T, shape (..., T+1, n+1, N, n+1).
    """
    answer = torch.cat([policies.feedback, policies.feedforward.unsqueeze(-1)], dim=-1)
    n = game.state_size
    eye = torch.eye(n + 1, dtype=answer.dtype, device=answer.device)
    eye = eye.expand(*answer.shape[:-2], n + 1, n + 1)
    closed = torch.cat([eye[..., :n, :], answer, eye[..., n:, :]], dim=-2)
    loops = game.moves @ closed
    players = game.costs.shape[-2]
    costs = game.costs.flatten(-3, -2) @ closed
    costs = closed.mT @ costs.unflatten(-2, (-1, players)).flatten(-2)
    at = answer.ndim - 3
    value = game.terminal.flatten(-2)
    values = [value]
    steps = zip(loops.unbind(at), loops.mT.unbind(at), costs.unbind(at), strict=True)
    for loop, turned, cost in reversed(list(steps)):
        along = (turned @ value).unflatten(-1, (players, n + 1)).flatten(-3, -2)
        value = cost + (along @ loop).unflatten(-2, (n + 1, players)).flatten(-2)
        values.append(value)
    found = torch.stack(values[::-1], dim=at).unflatten(-1, (players, n + 1))
    return 0.5 * (found + found.transpose(-3, -1))


def split_values(values: Tensor) -> Sequence[ValueExpansion]:
    """Read expansions from joined values.

    Args:
        values: V of the stages 0 .. T, shape (..., T+1, n+1, N, n+1).

    Returns:
        The expansions of the stages 0 .. T.
    """
    by_player = values.transpose(-3, -2)
    at = values.ndim - 4
    v = 0.5 * by_player[..., -1, -1]
    v_x = by_player[..., :-1, -1]
    v_xx = by_player[..., :-1, :-1]
    parts = zip(v.unbind(at), v_x.unbind(at), v_xx.unbind(at), strict=True)
    return [ValueExpansion(v=v, v_x=v_x, v_xx=v_xx) for v, v_x, v_xx in parts]


def _with_one(moves: Tensor) -> Tensor:
    """Add the row of the constant 1 to (A, B, c)."""
    last = torch.zeros_like(moves[..., :1, :])
    last[..., -1] = 1
    return torch.cat([moves, last], dim=-2)


def _bordered(hessian: Tensor, slope: Tensor) -> Tensor:
    """Put gradients beside and below Hessians."""
    wide = torch.cat([hessian, slope.unsqueeze(-1)], dim=-1)
    return torch.cat([wide, pad(slope, (0, 1)).unsqueeze(-2)], dim=-2)


def _side_by_side(costs: Tensor) -> Tensor:
    """Bring (..., N, T, z, z) to (..., T, z, N, z)."""
    return costs.movedim(-4, -2).contiguous()
