"""Kuhn poker: three cards, one each, one bet.

Both pay an ante of 1. A player passes (0) or bets 1 (1); a pass after a bet gives up, a bet after a
bet calls. Its value for player 0 is -1/18, and its equilibria are a family with one number a in
[0, 1/3]: player 0 bets the jack with probability a and the king with 3a, and calls a bet with the
queen with a + 1/3; player 1 bets the jack after a pass and calls with the queen with 1/3 each
(Kuhn, A simplified two-person poker, 1950).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import in_range
from ocngame.games.tree.game_tree import CHANCE, TERMINAL, GameTree
from ocngame.games.tree.position import Position, grow

__all__ = ["kuhn", "kuhn_equilibrium"]

_CARDS = "JQK"
_ENDS = {"pp": 1, "bp": 1, "bb": 2, "pbp": 1, "pbb": 2}
"""Ends of the betting, with the chips that change hands."""


@dataclass(frozen=True)
class _Kuhn(Position):
    cards: tuple[int, ...] = ()
    bets: str = ""

    @property
    def actor(self) -> int:
        if len(self.cards) < 2:
            return CHANCE
        return TERMINAL if self.bets in _ENDS else len(self.bets) % 2

    def moves(self) -> Sequence[tuple[int, float]]:
        if self.actor == CHANCE:
            left = [c for c in range(3) if c not in self.cards]
            return [(c, 1 / len(left)) for c in left]
        return [(0, 1.0), (1, 1.0)]

    def after(self, action: int) -> "_Kuhn":
        if self.actor == CHANCE:
            return _Kuhn((*self.cards, action))
        return _Kuhn(self.cards, self.bets + "pb"[action])

    def information(self) -> str:
        return _CARDS[self.cards[self.actor]] + self.bets

    def view(self, player: int) -> Sequence[float]:
        card = self.cards[player] if player < len(self.cards) else -1
        seen = [float(player == i) for i in range(2)] + [float(card == i) for i in range(3)]
        for t in range(3):
            bet = self.bets[t] if t < len(self.bets) else ""
            seen += [float(bet == "p"), float(bet == "b")]
        return seen

    def payoff(self) -> float:
        chips = _ENDS[self.bets]
        if self.bets.endswith("bp"):
            # Who passes after a bet gives up; the other one acts next.
            return float(chips if len(self.bets) % 2 == 0 else -chips)
        return float(chips if self.cards[0] > self.cards[1] else -chips)


def kuhn() -> GameTree:
    """Make the game: 12 information sets, 58 nodes.

    Returns:
        The game.
    """
    return grow("kuhn", _Kuhn(), 2)


def kuhn_equilibrium(tree: GameTree, a: float) -> Tensor:
    """Give an equilibrium of the family.

    Args:
        tree: The game.
        a: How often player 0 bets the jack, in [0, 1/3].

    Returns:
        The policy, shape [12, 2].
    """
    in_range("a", a, low=0.0, high=1 / 3 + 1e-12)
    bets = {
        "0:J": a,
        "0:Q": 0,
        "0:K": 3 * a,
        "0:Jpb": 0,
        "0:Qpb": a + 1 / 3,
        "0:Kpb": 1,
        "1:Jp": 1 / 3,
        "1:Qp": 0,
        "1:Kp": 1,
        "1:Jb": 0,
        "1:Qb": 1 / 3,
        "1:Kb": 1,
    }
    bet = torch.tensor([bets[label] for label in tree.labels], dtype=torch.float64).clamp(max=1)
    return torch.stack([1 - bet, bet], dim=1)
