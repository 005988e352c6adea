r"""Generalised advantages (Schulman et al., 2016, 1506.02438) of agents that may have to wait.

For one agent let t_1 < t_2 < ... be the steps of an episode in which it acts. What it earns until
it acts again belongs to its last action, and time passes for it only when it acts:

    R_k = sum of r_s over t_k <= s < t_{k+1}
    delta_k = R_k + gamma v_{k+1} - V(t_k),    A_k = delta_k + gamma lambda A_{k+1}

with `v_{k+1} = V(t_{k+1})`. At the last action of an episode A_{k+1} = 0, and v_{k+1} is 0 if the
agent's episode ended by the world's rules, the value of the moment reached (before any new start)
if it was cut by a limit. With all agents acting at every step this is the usual recursion.

At the end of a segment of T steps the episode goes on elsewhere: v is the value of the moment
reached and A_{k+1} = 0. An agent that does not act in that moment has no value there; its last
action is left out (`valid` is False), as are all steps in which it does not act. Rewards before an
agent's first action of an episode belong to no action of it.

The loop runs over time, backwards, with all copies and agents at once. It carries the reward
`pending` since the next action, and v and A of the next action.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Advantages", "generalised_advantages"]


@dataclass(frozen=True)
class Advantages:
    """What the actions of a segment were worth.

    Attributes:
        advantages: [T, B, A]; 0 where not valid.
        returns: [T, B, A], the critic's targets `A + V`; 0 where not valid.
        valid: [T, B, A], bool.
    """

    advantages: Tensor
    returns: Tensor
    valid: Tensor


def generalised_advantages(
    *,
    rewards: Tensor,
    values: Tensor,
    reached: Tensor,
    acting: Tensor,
    acts_next: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    discount: float,
    decay: float,
) -> Advantages:
    """Compute them for a segment.

    Args:
        rewards: [T, B, A].
        values: [T, B, A], V of the moments acted on.
        reached: [T, B, A], V of the moments reached, before any new start; read only where
            `truncated` and at the last step.
        acting: [T, B, A], bool.
        acts_next: [B, A], bool, who acts in the moment after the segment.
        terminated: [T, B, A], bool.
        truncated: [T, B, A], bool.
        discount: gamma.
        decay: lambda.

    Returns:
        The advantages.
    """
    advantages, valid = torch.zeros_like(values), torch.zeros_like(acting)
    pending = torch.zeros_like(rewards[0])
    worth, gain, known = reached[-1], torch.zeros_like(rewards[0]), acts_next
    for t in range(len(rewards) - 1, -1, -1):
        done = terminated[t] | truncated[t]
        pending = rewards[t] + torch.where(done, 0.0, pending)
        worth = torch.where(done, torch.where(terminated[t], 0.0, reached[t]), worth)
        gain = torch.where(done, 0.0, gain)
        known = known | done
        acts = acting[t]
        own = pending + discount * (worth + decay * gain) - values[t]
        valid[t] = acts & known
        advantages[t] = torch.where(valid[t], own, 0.0)
        gain = torch.where(valid[t], own, gain)
        worth = torch.where(acts, values[t], worth)
        pending = torch.where(acts, 0.0, pending)
        known = known | acts
    returns = torch.where(valid, advantages + values, 0.0)
    return Advantages(advantages, returns, valid)
