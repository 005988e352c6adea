"""Matrix games as trees of depth two: player 1 moves without having seen player 0's move."""

import torch
from torch import Tensor

from ocngame._tensor_checks import finite, shaped
from ocngame.games.tree.game_tree import TERMINAL, GameTree

__all__ = ["matrix_tree"]


def matrix_tree(payoffs: Tensor, name: str = "matrix") -> GameTree:
    """Make a game from the payoffs of player 0.

    Args:
        payoffs: By (player 0's, player 1's) action, shape (m, n).
        name: The game's name.

    Returns:
        The game, with one information set of each player.
    """
    sizes = shaped("payoffs", payoffs, "m n")
    finite("payoffs", payoffs)
    m, n = sizes["m"], sizes["n"]
    most = max(m, n)
    ones, ends = torch.zeros(m, dtype=torch.long), m * n
    return GameTree(
        name=name,
        parent=torch.cat([torch.tensor([-1]), ones, 1 + torch.arange(m).repeat_interleave(n)]),
        actor=torch.cat([torch.tensor([0]), ones + 1, torch.full((ends,), TERMINAL)]),
        action=torch.cat([torch.tensor([-1]), torch.arange(m), torch.arange(n).repeat(m)]),
        probability=torch.ones(1 + m + ends, dtype=torch.float64),
        info=torch.cat([torch.tensor([0]), ones + 1, torch.full((ends,), -1)]),
        payoff=torch.cat([torch.zeros(1 + m), payoffs.reshape(-1)]).double(),
        levels=((0, 1), (1, 1 + m), (1 + m, 1 + m + ends)),
        legal=torch.arange(most) < torch.tensor([[m], [n]]),
        owner=torch.tensor([0, 1]),
        labels=("0:", "1:"),
        observations=torch.eye(2),
        states=torch.tensor([[1.0, 0.0, 0.0, 1.0]]).repeat(1 + m + ends, 1),
    )
