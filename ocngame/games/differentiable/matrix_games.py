r"""Repeated two-player matrix games with memory of one round, by their exact values.

A player's control is the logits of its probability of the first action, after the start of play and
after each of the four joint outcomes (own action first for player 1; player 2 sees the outcome from
its side, Foerster et al., 1709.04326, section 4.1). With start distribution p_0
and transition matrix P over outcomes, the normalised discounted cost of a player is

    f = -(1 - gamma) p_0' (I - gamma P)^{-1} r

Matching pennies is the one-shot zero-sum game with a logit each, at rewards +-1.
"""

import torch
from torch import Tensor

from ocngame._checks import in_range
from ocngame.games.differentiable.ready import ReadyPlayers, from_control

__all__ = ["iterated_prisoners_dilemma", "matching_pennies", "repeated_costs"]

_PRISONER = ((-1.0, -3.0), (0.0, -2.0))
"""Rewards of the first player, cooperation first."""


def iterated_prisoners_dilemma(
    *, discount: float = 0.96, seed: int | None = None, dtype: torch.dtype = torch.float64
) -> ReadyPlayers:
    """Make the iterated prisoner's dilemma: mutual cooperation is worth -1, defection -2.

    Args:
        discount: gamma, in [0, 1).
        seed: Seed of standard normal logits; zeros if None.
        dtype: Floating-point type.

    Returns:
        The game.
    """
    in_range("discount", discount, low=0.0, high=1.0, high_open=True)
    values = [torch.zeros(5, dtype=dtype), torch.zeros(5, dtype=dtype)]
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
        values = [
            torch.randn(5, generator=generator, dtype=torch.float64).to(dtype) for _ in range(2)
        ]
    rewards = torch.tensor(_PRISONER, dtype=dtype)

    def cost(index: int):
        return lambda x, y: repeated_costs(x, y, rewards, rewards.T, discount)[index]

    game = from_control(values, [cost(0), cost(1)], ["row", "column"])

    def mean_return() -> float:
        x, y = (own[0] for own in game.values())
        return -float(repeated_costs(x, y, rewards, rewards.T, discount).mean())

    return ReadyPlayers(name="ipd", game=game, measures={"mean return": mean_return})


def matching_pennies(
    start: tuple[float, float] = (1.0, -0.5), *, dtype: torch.dtype = torch.float64
) -> ReadyPlayers:
    """Make matching pennies: the first player wins where the coins agree.

    Args:
        start: First logits of heads.
        dtype: Floating-point type.

    Returns:
        The game; its equilibrium is 50/50, at logits 0.
    """

    def cost(x: Tensor, y: Tensor) -> Tensor:
        return -((2 * x.sigmoid() - 1) * (2 * y.sigmoid() - 1)).sum()

    values = [torch.tensor([number], dtype=dtype) for number in start]
    game = from_control(values, [cost, lambda x, y: -cost(x, y)], ["even", "odd"])

    def heads() -> float:
        return max(abs(float(own[0].sigmoid()) - 0.5) for own in game.values())

    return ReadyPlayers(
        name="matching_pennies",
        game=game,
        equilibrium=torch.zeros(2, dtype=dtype),
        measures={"distance to 50/50": heads},
    )


def repeated_costs(x: Tensor, y: Tensor, first: Tensor, second: Tensor, discount: float) -> Tensor:
    """Give both players' normalised discounted costs.

    Args:
        x: Logits of player 1: at the start, after (1,1), (1,2), (2,1), (2,2); shape (5,).
        y: Logits of player 2, its own action first in the pairs; shape (5,).
        first: Rewards of player 1 by (own, other) action, shape (2, 2).
        second: Rewards of player 2 by (player 1's, player 2's) action, shape (2, 2).
        discount: gamma.

    Returns:
        The costs, shape (2,).
    """
    p = x.sigmoid()
    q = y.sigmoid()[torch.tensor([0, 1, 3, 2, 4], device=y.device)]
    joint = torch.stack([p * q, p * (1 - q), (1 - p) * q, (1 - p) * (1 - q)], dim=-1)
    start, transition = joint[0], joint[1:]
    eye = torch.eye(4, dtype=x.dtype, device=x.device)
    occupancy = torch.linalg.solve((eye - discount * transition).mT, start)
    rewards = torch.stack([first.reshape(-1), second.reshape(-1)], dim=-1)
    return -(1 - discount) * occupancy @ rewards
