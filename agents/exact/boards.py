r"""Best responses on a small board, by dynamic programming over its positions.

A position is who has which field; it decides who moves, and nothing is hidden. Level k holds the
positions with k stones that play can reach. With p the mover's probabilities, s' the position after
an action and R the payoff of player 0 where the game is over,

    v(s)   = sum_a p(a | s) (R or v(s')),
    b_i(s) = max_a (R or b_i(s'))          where player i moves (min for player 1),
             sum_a p(a | s) (R or b_i(s')) where the other one does,

and the gains of deviation are `b_0 - v` and `v - b_1` at the empty board.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ocngame.envs.boards import LineWorld
from ocngame.errors import InvalidInputError

__all__ = ["board_gains", "is_small"]

_MOST_FIELDS = 12
"""A board of so many fields has at most 3 ** 12 positions."""


def is_small(world: LineWorld) -> bool:
    """Say whether all positions of a board can be listed.

    Args:
        world: The board.

    Returns:
        Whether it has few fields, and stones stay where they are set.
    """
    return not world.gravity and world.fields <= _MOST_FIELDS


def board_gains(
    world: LineWorld, choose: Sequence[Callable[[Tensor, Tensor], Tensor]]
) -> list[float]:
    """Compute what both players would win by best responses.

    Args:
        world: The board.
        choose: Per player, probabilities [K, A] from observations [K, O] and allowed actions.

    Returns:
        Two gains, not negative but for rounding.

    Raises:
        InvalidInputError: if the board has too many fields, or stones fall.
    """
    if not is_small(world):
        raise InvalidInputError(
            f"world: expected a board of at most {_MOST_FIELDS} fields without gravity, got "
            f"{world.name!r} of {world.fields}"
        )
    levels = [torch.zeros(1, 2, world.fields)]
    steps: list[tuple[Tensor, Tensor, Tensor]] = []
    while len(levels[-1]) > 0:
        following, step = _grow(world, levels[-1], len(levels) - 1)
        levels.append(following)
        steps.append(step)
    plain = torch.zeros(0, dtype=torch.float64)
    best = plain, plain
    for k in range(len(steps) - 1, -1, -1):
        mover = k % 2
        free, payoff, child = steps[k]
        board = levels[k] if mover == 0 else levels[k].flip(1)
        p = choose[mover](board.mT.reshape(len(board), -1), free).double() * free
        p = p / p.sum(1, keepdim=True)

        def ahead(of: Tensor, child: Tensor = child, payoff: Tensor = payoff) -> Tensor:
            if len(of) == 0:
                return payoff
            return torch.where(child >= 0, of[child.clamp(min=0)], payoff)

        plain = (p * ahead(plain)).sum(1)
        sign = 1.0 if mover == 0 else -1.0
        found = []
        for player in (0, 1):
            q = ahead(best[player])
            if player == mover:
                found.append(sign * torch.where(free, sign * q, -torch.inf).amax(1))
            else:
                found.append((p * q).sum(1))
        best = found[0], found[1]
    return [float(best[0][0] - plain[0]), float(plain[0] - best[1][0])]


def _grow(
    world: LineWorld, board: Tensor, stones: int
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Make every move; give the next level, and who is free, payoffs and children [N, F]."""
    mover, count = stones % 2, len(board)
    free = board.sum(1) == 0
    after = board[:, None].repeat(1, world.fields, 1, 1)
    fields = torch.arange(world.fields)
    after[:, fields, mover, fields] = 1
    won = world.complete(after[:, :, mover])
    going = free & ~won & (stones + 1 < world.fields)
    payoff = torch.where(won, 1.0 if mover == 0 else -1.0, 0.0).double()
    child = torch.full((count, world.fields), -1)
    if not bool(going.any()):
        return board[:0], (free, payoff, child)
    following, inverse = torch.unique(after[going], dim=0, return_inverse=True)
    child[going] = inverse
    return following, (free, payoff, child)
