r"""Look-ahead: a player moves knowing that the others answer, for k stages.

The game is played as a sequence of stages. At the first, player i chooses u^i; at each of the next
k stages every other player answers by its own gradient step, a feedback policy of what it sees,

    a_j^0 = u^j,    a_j^{s+1} = a_j^s - step * d f^j / du^j (u^i, a_{-i}^s),     j != i

and player i pays at the end: `F^i(u) = f^i(u^i, a_{-i}^k)`. Derivatives of F^i go through the
answers, so its own gradient is that of learning with opponent-learning awareness (Foerster et al.,
1709.04326, there to first order in `step`; here exact). The result is a differentiable game again,
which any solver plays.
"""

from typing import Any

import torch
from torch import Tensor

from ocngame._checks import integer, positive
from ocngame.games import PlayerGame
from ocngame.games.players import Values

__all__ = ["look_ahead"]


def look_ahead(game: PlayerGame, *, stages: int = 1, step: float = 1.0) -> PlayerGame:
    """Give the game in which every player sees the others' answers coming.

    Args:
        game: The game; the new one moves the same tensors.
        stages: Number k of answers, at least 1.
        step: Size of an answering gradient step.

    Returns:
        The game with costs F^i, called with the batch as before.

    Raises:
        InvalidInputError: if `stages` or `step` is out of range.
    """
    integer("stages", stages, low=1)
    positive("step", step)
    return _LookAhead(game, stages, step)


class _LookAhead(PlayerGame):
    """The same players with other costs."""

    def __init__(self, game: PlayerGame, stages: int, step: float):
        self.__dict__.update(game.__dict__)
        self._inner, self._stages, self._step = game, stages, step

    def evaluate(self, values: Values, *batch: Any) -> list[Tensor]:
        """Evaluate every player's cost after the others' answers.

        Args:
            values: Tensors in the place of the players' own.
            *batch: Passed on to the costs.

        Returns:
            The costs, scalars.
        """
        with torch.enable_grad():
            return [self._cost(i, values, batch) for i in range(self.player_count)]

    def evaluate_one(self, player: int, values: Values, *batch: Any) -> Tensor:
        """Evaluate one player's cost after the others' answers.

        Args:
            player: Whose cost.
            values: Tensors in the place of the players' own.
            *batch: Passed on to the costs.

        Returns:
            The cost, a scalar.
        """
        with torch.enable_grad():
            return self._cost(player, values, batch)

    def _cost(self, player: int, values: Values, batch: tuple[Any, ...]) -> Tensor:
        current = [list(own) for own in values]
        for _ in range(self._stages):
            current = self._answered(player, current, batch)
        return self._inner.evaluate(current, *batch)[player]

    def _answered(self, player: int, values: Values, batch: tuple[Any, ...]) -> Values:
        tracked = [
            [v if v.requires_grad else v.detach().requires_grad_() for v in own] for own in values
        ]
        costs = self._inner.evaluate(tracked, *batch)
        answered: Values = []
        for j, (cost, own) in enumerate(zip(costs, tracked, strict=True)):
            if j == player:
                answered.append(values[j])
                continue
            slopes = torch.autograd.grad(cost, own, create_graph=True, allow_unused=True)
            answered.append(
                [
                    v if slope is None else v - self._step * slope
                    for v, slope in zip(own, slopes, strict=True)
                ]
            )
        return answered
