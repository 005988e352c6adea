"""Leduc poker: six cards of three ranks, a private and a public one, two rounds of betting.

Both pay an ante of 1. Actions are fold (0, only when a bet stands), call or check (1) and raise
(2), by 2 chips in the first round and 4 in the second, at most two raises a round; player 0 begins
both rounds. The public card is shown after the first round. A pair with it wins, then the higher
rank; equal ranks share (Southey et al., Bayes' bluff, 1207.1411, section 4.1).

Suits never matter, so that cards are dealt by rank: 288 information sets instead of the 936 of a
tree that tells suits apart, and the same values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ocngame.games.tree.game_tree import CHANCE, TERMINAL, GameTree
from ocngame.games.tree.position import Position, grow

__all__ = ["leduc"]

_RANKS = "JQK"
_RAISE = (2, 4)
_MOST_RAISES = 2
_LONGEST = 4
"""Most actions of a round: check, raise, raise, call."""


@dataclass(frozen=True)
class _Leduc(Position):
    private: tuple[int, ...] = ()
    public: int = -1
    first: str = ""
    second: str = ""

    @property
    def _bets(self) -> str:
        return self.first if self.public < 0 else self.second

    @property
    def actor(self) -> int:
        if len(self.private) < 2:
            return CHANCE
        if self._bets.endswith("f"):
            return TERMINAL
        if _closed(self._bets):
            return CHANCE if self.public < 0 else TERMINAL
        return len(self._bets) % 2

    def moves(self) -> Sequence[tuple[int, float]]:
        if self.actor == CHANCE:
            left = [2 - self.private.count(rank) for rank in range(3)]
            return [(rank, n / sum(left)) for rank, n in enumerate(left) if n]
        can = [1]
        if self._bets.endswith("r"):
            can.insert(0, 0)
        if self._bets.count("r") < _MOST_RAISES:
            can.append(2)
        return [(a, 1.0) for a in can]

    def after(self, action: int) -> "_Leduc":
        if self.actor == CHANCE:
            if len(self.private) < 2:
                return _Leduc((*self.private, action))
            return _Leduc(self.private, action, self.first)
        bets = self._bets + "fcr"[action]
        if self.public < 0:
            return _Leduc(self.private, -1, bets)
        return _Leduc(self.private, self.public, self.first, bets)

    def information(self) -> str:
        public = "" if self.public < 0 else "/" + _RANKS[self.public]
        return _RANKS[self.private[self.actor]] + public + " " + self.first + "/" + self.second

    def view(self, player: int) -> Sequence[float]:
        own = self.private[player] if player < len(self.private) else -1
        seen = [float(player == i) for i in range(2)]
        seen += [float(own == i) for i in range(3)] + [float(self.public == i) for i in range(3)]
        for bets in (self.first, self.second):
            for t in range(_LONGEST):
                bet = bets[t] if t < len(bets) else ""
                seen += [float(bet == "c"), float(bet == "r")]
        return seen

    def payoff(self) -> float:
        paid = self._paid()
        if self._bets.endswith("f"):
            gone = (len(self._bets) - 1) % 2
            return float(-paid[0] if gone == 0 else paid[1])
        ranks = [3 * (card == self.public) + card for card in self.private]
        if ranks[0] == ranks[1]:
            return 0.0
        return float(paid[1] if ranks[0] > ranks[1] else -paid[0])

    def _paid(self) -> list[int]:
        paid = [1, 1]
        for bets, size in zip((self.first, self.second), _RAISE, strict=True):
            for t, bet in enumerate(bets):
                if bet == "f":
                    continue
                paid[t % 2] = max(paid) + (size if bet == "r" else 0)
        return paid


def _closed(bets: str) -> bool:
    """Say whether a round is over: the second check, or a call of a raise."""
    return len(bets) > 1 and bets[-1] == "c"


def leduc() -> GameTree:
    """Make the game: 288 information sets.

    Returns:
        The game.
    """
    return grow("leduc", _Leduc(), 3)
