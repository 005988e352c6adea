"""All games of tic-tac-toe against a policy that always takes its most probable action."""

from collections.abc import Callable

import torch
from torch import Tensor

LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


def won(stones: tuple[int, ...]) -> bool:
    """Whether a list of fields has a full line."""
    return any(all(field in stones for field in line) for line in LINES)


def minimax(own: tuple[int, ...] = (), other: tuple[int, ...] = ()) -> int:
    """Value for the player to move under optimal play: 1, 0 or -1."""
    if won(other):
        return -1
    free = [f for f in range(9) if f not in own and f not in other]
    if not free:
        return 0
    return max(-minimax(other, (*own, field)) for field in free)


def lost_games(choose: Callable[[Tensor, Tensor], Tensor], seat: int) -> tuple[int, int]:
    """Count games that a policy loses and plays, over all replies of the other one.

    Args:
        choose: Actions [n] from observations [n, 18] and masks [n, 9].
        seat: Of the policy, 0 moves first.
    """
    level: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((), ())]
    lost = played = 0
    for ply in range(9):
        mine = ply % 2 == seat
        if mine and level:
            planes = torch.zeros(len(level), 9, 2)
            for i, (own, other) in enumerate(level):
                planes[i, list(own), 0] = 1
                planes[i, list(other), 1] = 1
            picks = choose(planes.flatten(1), planes.sum(2) == 0).tolist()
            moves = [[pick] for pick in picks]
        else:
            moves = [[f for f in range(9) if f not in own + other] for own, other in level]
        below = []
        for (own, other), fields in zip(level, moves, strict=True):
            for field in fields:
                after = ((*own, field), other) if mine else (own, (*other, field))
                end = won(after[0] if mine else after[1])
                if end or ply == 8:
                    played += 1
                    lost += end and not mine
                else:
                    below.append(after)
        level = below
    return lost, played
