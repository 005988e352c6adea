r"""Is each player's cost convex in its own control sequence? The pivots of its condensed Hessian.

Against fixed sequences of the others player i's Riccati recursion is

    H = L^i + F' P F over (x, u),    P = H_xx - H_xi (H_ii)^{-1} H_ix

and the blocks `H_ii` of all stages are the block pivots of the Hessian of J^i in player i's whole
sequence: it is positive definite if and only if all of them are (`ocngame.bellman.best_response`).
"""

import torch
from torch import Tensor

from ocngame.bellman.best_response import owners
from ocngame.games.lq import LQGame

__all__ = ["condensed_pivots"]


def condensed_pivots(game: LQGame) -> tuple[Tensor, ...]:
    """Give the block pivots of every player's condensed Hessian.

    Args:
        game: The game.

    Returns:
        `H_ii` of every player, shapes (..., T, m_i, m_i). Where one is not positive, those of the
        stages before it mean nothing.
    """
    n, m, batch = game.state_size, game.control_size, game.batch_shape
    players = game.player_count
    wide = torch.cat([game.Q[..., :-1, :, :], game.M], dim=-1)
    costs = torch.cat([wide, torch.cat([game.M.mT, game.R], dim=-1)], dim=-2)
    costs = costs.reshape(-1, game.horizon, n + m, n + m).unbind(1)
    moves = torch.cat([game.A, game.B], dim=-1).unsqueeze(-4)
    moves = moves.expand(*batch, players, game.horizon, n, n + m)
    moves = moves.reshape(-1, game.horizon, n, n + m).unbind(1)
    value = game.Q[..., -1, :, :].reshape(-1, n, n)
    own = owners(game.control_slices, m, game.A.device)
    own = own.expand(*batch, players, m).reshape(-1, m, 1)
    square = own & own.mT
    eye = torch.eye(m, dtype=value.dtype, device=value.device)
    zero = value.new_zeros(())
    found = []
    for move, cost in zip(reversed(moves), reversed(costs), strict=True):
        hessian = torch.baddbmm(cost, move.mT, torch.bmm(value, move))
        control = hessian[:, n:, n:]
        mixed = torch.where(own, hessian[:, n:, :n], zero)
        found.append(control)
        answer, _ = torch.linalg.solve_ex(torch.where(square, control, eye), mixed)
        value = torch.baddbmm(hessian[:, :n, :n], mixed.mT, answer, alpha=-1)
    whole = torch.stack(found[::-1], dim=1).reshape(*batch, players, game.horizon, m, m)
    return tuple(whole[..., i, :, block, block] for i, block in enumerate(game.control_slices))
