r"""Targets of the critic: returns along recorded play, as the present policies would go on.

In a zero-sum game for two one chain of decisions serves both players. With player 0's sign on
rewards and action values, pi the present policy of whoever moves at t and mu the one that played,

    v_t = sum_a pi(a) Q(s_t, a),      c_t = lambda min(1, pi(a_t) / mu(a_t))
    y_t = r_t + (1 - over_t) (v_{t+1} + c_{t+1} (y_{t+1} - Q(s_{t+1}, a_{t+1})))

which is Retrace (Munos et al., 1606.02647, equations 3 and 4), written backwards: play may be older
than the policy. lambda = 0 is expected Sarsa.
"""

import torch
from torch import Tensor

__all__ = ["retrace"]


def retrace(
    q: Tensor,
    policy: Tensor,
    actions: Tensor,
    behaviour: Tensor,
    rewards: Tensor,
    over: Tensor,
    trace: float,
) -> Tensor:
    """Give the targets.

    Args:
        q: Action values in player 0's sign at T decisions and the one after them, [T + 1, B, A].
        policy: Present probabilities of who moves there, [T + 1, B, A].
        actions: Taken, [T, B].
        behaviour: Probabilities that they were taken with, [T, B].
        rewards: Player 0's, [T, B].
        over: Whether the game was over after, [T, B], bool.
        trace: lambda.

    Returns:
        y in player 0's sign, [T, B].
    """
    v = (policy * q).sum(-1)
    index = actions[..., None]
    taken = q[:-1].gather(-1, index)[..., 0]
    likely = policy[:-1].gather(-1, index)[..., 0]
    c = trace * (likely / behaviour).clamp(max=1.0)
    found = torch.empty_like(rewards)
    ahead = v[-1]
    for t in range(len(rewards) - 1, -1, -1):
        found[t] = torch.where(over[t], rewards[t], rewards[t] + ahead)
        ahead = v[t] + c[t] * (found[t] - taken[t])
    return found
