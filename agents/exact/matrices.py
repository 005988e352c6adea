r"""Best responses in a repeated matrix game, by dynamic programming over its rounds.

The state s is the last joint action (or the start); without memory there is one state. A policy
depends on s alone, a best response on s and on the rounds that are left. With r_i the rewards of a
round, backwards from V = 0 after the last one,

    v_i(s) = sum_ab p_0(a | s) p_1(b | s) (r_i(a, b) + v_i(ab))
    b_0(s) = max_a sum_b p_1(b | s) (r_0(a, b) + b_0(ab)),   b_1 alike.

The gains are `b_i - v_i` at the start; the game need not be zero-sum.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ocngame.envs.matrix import RepeatedMatrixWorld

__all__ = ["repeated_gains"]


def repeated_gains(
    world: RepeatedMatrixWorld, choose: Sequence[Callable[[Tensor, Tensor], Tensor]]
) -> list[float]:
    """Compute what both players would win by best responses.

    Args:
        world: The game.
        choose: Per player, probabilities [K, k] from observations [K, O] and allowed actions.

    Returns:
        Two gains, not negative but for rounding.
    """
    rewards = world.rewards.cpu().double()
    k = rewards.shape[1]
    joint = torch.cartesian_prod(torch.arange(k), torch.arange(k))
    start = torch.tensor([[-1, -1]])
    states = torch.cat([start, joint]) if world.memory else start
    after = 1 + torch.arange(k * k).view(k, k) if world.memory else torch.zeros(k, k).long()
    views = [world.view_of(states), world.view_of(states.flip(1))]
    every = torch.ones(len(states), k, dtype=torch.bool)
    p, q = (c(v.cpu(), every).double() for c, v in zip(choose, views, strict=True))
    value = torch.zeros(2, len(states), dtype=torch.float64)
    best = value.clone()
    for _ in range(world.horizon or 1):
        ahead = rewards + value[:, after]
        value = torch.einsum("sa,sb,nab->ns", p, q, ahead)
        ahead = rewards + best[:, after]
        first = torch.einsum("sb,ab->sa", q, ahead[0]).amax(1)
        second = torch.einsum("sa,ab->sb", p, ahead[1]).amax(1)
        best = torch.stack([first, second])
    return (best - value)[:, 0].tolist()
