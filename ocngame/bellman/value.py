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
from ocngame.linalg import left_product, right_product

__all__ = ["evaluate_policy"]


def evaluate_policy(q: QExpansion, policy: AffinePolicy) -> ValueExpansion:
    """Give every player's value of the stage when all players follow `policy`.

    Args:
        q: Expansion of every player's Q-function, joint control size m, state size n.
        policy: Joint policy with feedforward (..., m) and feedback (..., m, n).

    Returns:
        The value expansion of every player, with exactly symmetric Hessians.
    """
    k, K = policy.feedforward, policy.feedback
    bent = right_product(q.q_uu, k.unsqueeze(-1)).squeeze(-1)
    v = q.q + ((q.q_u + 0.5 * bent) @ k.unsqueeze(-1)).squeeze(-1)
    moved = (k.unsqueeze(-2).unsqueeze(-3) @ q.q_ux).squeeze(-2)
    v_x = (q.q_u + bent) @ K + moved + q.q_x
    half = left_product(K, right_product(q.q_uu, 0.5 * K) + q.q_ux).add(q.q_xx, alpha=0.5)
    return ValueExpansion(v=v, v_x=v_x, v_xx=half + half.mT)
