r"""The general value recursion: the value of playing *any* affine policy at a stage.

Substituting `du = k + K dx` into Q and collecting orders of dx gives, for every player,

    v    = q    + q_u' k + 1/2 k' q_uu k
    v_x  = q_x  + K' q_u + q_ux' k + K' q_uu k
    v_xx = q_xx + K' q_ux + q_ux' K + K' q_uu K

It holds whether or not (k, K) minimises Q. The short form `v_xx = q_xx - q_xu q_uu^{-1} q_ux`
holds at the exact minimiser only, so it is not used here.
"""

import torch
from torch import Tensor

from ocngame.bellman.expansions import QExpansion, ValueExpansion
from ocngame.bellman.policy import AffinePolicy
from ocngame.linalg import left_product, right_product, with_transpose

__all__ = ["evaluate_policy"]


def evaluate_policy(q: QExpansion, policy: AffinePolicy) -> ValueExpansion:
    """Give every player's value of the stage when all players follow `policy`.

    Args:
        q: Expansion of every player's Q-function, joint control size m, state size n.
        policy: Joint policy with feedforward (..., m) and feedback (..., m, n).

    Returns:
        The value expansion of every player, with exactly symmetric Hessians.
    """
    answer = torch.cat([policy.feedback, policy.feedforward.unsqueeze(-1)], dim=-1)
    demand = _beside(q.q_ux, q.q_u)
    # In z = (dx, 1) all three orders are one product, of which the value takes both halves.
    half = left_product(answer, torch.add(demand, right_product(q.q_uu, answer), alpha=0.5))
    square = torch.add(half[..., :-1, :-1], q.q_xx, alpha=0.5)
    return ValueExpansion(
        v=q.q + half[..., -1, -1],
        v_x=q.q_x + half[..., :-1, -1] + half[..., -1, :-1],
        v_xx=with_transpose(square),
    )


def _beside(matrix: Tensor, column: Tensor) -> Tensor:
    """Append a column to every player's matrix, in the order of memory that products read."""
    joined = torch.cat([matrix.transpose(-3, -2), column.mT.unsqueeze(-1)], dim=-1)
    return joined.transpose(-3, -2)
