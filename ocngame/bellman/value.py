r"""The general value recursion: the value of playing *any* affine policy at a stage.

Substituting `du = k + K dx` into Q and collecting orders of dx gives, for every player,

    v    = q    + q_u' k + 1/2 k' q_uu k
    v_x  = q_x  + K' q_u + q_ux' k + K' q_uu k
    v_xx = q_xx + K' q_ux + q_ux' K + K' q_uu K

It holds whether or not (k, K) minimises Q. The short form `v_xx = q_xx - q_xu q_uu^{-1} q_ux`
holds at the exact minimiser only, so it is not used here.
"""

from ocngame.bellman.expansions import QExpansion, ValueExpansion
from ocngame.bellman.policy import AffinePolicy

__all__ = ["evaluate_policy"]


def evaluate_policy(q: QExpansion, policy: AffinePolicy) -> ValueExpansion:
    """Give every player's value of the stage when all players follow `policy`.

    Args:
        q: Expansion of every player's Q-function, joint control size m, state size n.
        policy: Joint policy with feedforward (..., m) and feedback (..., m, n).

    Returns:
        The value expansion of every player, with exactly symmetric Hessians.
    """
    k = policy.feedforward[..., None, :, None]
    K = policy.feedback.unsqueeze(-3)
    q_u = q.q_u.unsqueeze(-1)
    curvature_k = q.q_uu @ k
    v = q.q + (k.mT @ (q_u + 0.5 * curvature_k)).squeeze(-1).squeeze(-1)
    v_x = q.q_x + (K.mT @ (q_u + curvature_k) + q.q_ux.mT @ k).squeeze(-1)
    half = K.mT @ (q.q_ux + 0.5 * (q.q_uu @ K)) + 0.5 * q.q_xx
    return ValueExpansion(v=v, v_x=v_x, v_xx=half + half.mT)
