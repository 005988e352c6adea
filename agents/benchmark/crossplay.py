"""Cross-play: every trained team against every other, and against random play.

In a world of two teams, an entrant is a training (which has policies for both teams) or a player
without training. Entrant x as the first team against y as the second gives E episodes, whose starts
are the same for every pairing, with returns R1_e(x, y) and R2_e(x, y).

Cells of the matrix are means over the seeds of the row's and the column's contender. Intervals draw
the seeds of rows and of columns with replacement, independently: runs are what varies, episodes are
many.

For ratings two entrants play both roles: episode e is won by x if R1_e(x, y) + R2_e(y, x) is above
R1_e(y, x) + R2_e(x, y), and is half a win for both if they are equal. Ratings of contenders come
from the wins of their seeds, and their intervals from drawing the seeds. Episodes of a pair share
policies, so what enters is the share of wins of a pair, as one game.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ocngame.agents.benchmark.entrants import Entrant, as_decider
from ocngame.agents.benchmark.ratings import elo_ratings
from ocngame.agents.benchmark.statistics import Interval, interval_of_draws
from ocngame.agents.evaluation import evaluate
from ocngame.envs import World

__all__ = ["CrossPlay", "play_pair"]

Array = NDArray[np.float64]

_PRIOR = 0.5
"""Wins added each way between two contenders, so that a contender who always wins has a rating."""


def play_pair(
    world: World, first: Entrant, second: Entrant, *, episodes: int, seed: int
) -> dict[str, list[float]]:
    """Play one pairing with drawn actions.

    Args:
        world: The world, of two teams.
        first: Plays the first team.
        second: Plays the second.
        episodes: Episodes.
        seed: Of the starts and draws.

    Returns:
        Per team its return in every episode.
    """
    teams = list(dict.fromkeys(group.team for group in world.groups))
    players = zip((first, second), teams, strict=True)
    deciders = [as_decider(entrant, world, team) for entrant, team in players]
    played = evaluate(world, deciders, episodes=episodes, seed=seed)
    return {team: [float(r) for r in returns] for team, returns in played.by_team.items()}


class CrossPlay:
    """Returns of all pairings of a world, and what follows from them.

    Attributes:
        labels: Contenders, in order.
    """

    def __init__(self, entrants: Sequence[Entrant], returns: Array):
        """Keep them.

        Args:
            entrants: N entrants.
            returns: [2, N, N, E]: of the first and second team, first player, second player.
        """
        self.labels = tuple(dict.fromkeys(entrant.label for entrant in entrants))
        self._members = [
            np.array([i for i, e in enumerate(entrants) if e.label == label])
            for label in self.labels
        ]
        self._means = returns.mean(-1)
        home = returns[0] + np.swapaxes(returns[1], 0, 1)
        away = np.swapaxes(home, 0, 1)
        self._wins = ((home > away) + 0.5 * (home == away)).mean(-1)

    def matrices(self, *, seed: int, draws: int, confidence: float) -> list[list[list[Interval]]]:
        """Give the mean return of every pairing of contenders.

        Args:
            seed: Of the draws.
            draws: Bootstrap draws.
            confidence: Of the intervals.

        Returns:
            Per team, row (who plays the first team) and column (the second).
        """
        rng = np.random.default_rng(seed)
        return [
            [
                [
                    self._interval(means, rows, columns, rng, draws, confidence)
                    for columns in self._members
                ]
                for rows in self._members
            ]
            for means in self._means
        ]

    def ratings(self, *, seed: int, draws: int, confidence: float) -> list[Interval]:
        """Rate the contenders.

        Args:
            seed: Of the draws.
            draws: Bootstrap draws.
            confidence: Of the intervals.

        Returns:
            Per contender.
        """
        rng = np.random.default_rng(seed)
        values = self._rate(self._members)
        drawn = np.stack(
            [
                self._rate([m[rng.integers(0, m.size, m.size)] for m in self._members])
                for _ in range(draws)
            ]
        )
        return [interval_of_draws(float(v), drawn[:, i], confidence) for i, v in enumerate(values)]

    def field(self) -> list[dict[str, list[float]]]:
        """Give what every run gets as each team against the whole field.

        Returns:
            Per team (first, second), per contender, its runs' mean returns over all contenders
            as opponents, each with the same weight, its own among them.
        """
        found = []
        for team, means in enumerate(self._means):
            table = means if team == 0 else means.T
            against = np.stack([table[:, m].mean(1) for m in self._members], 1).mean(1)
            found.append(
                {
                    label: [float(against[i]) for i in own]
                    for label, own in zip(self.labels, self._members, strict=True)
                }
            )
        return found

    def _rate(self, members: Sequence[NDArray[np.int64]]) -> Array:
        wins = np.array(
            [[self._wins[np.ix_(rows, columns)].sum() for columns in members] for rows in members]
        )
        return elo_ratings(wins, prior=_PRIOR, tolerance=1e-6)

    @staticmethod
    def _interval(
        means: Array,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        rng: np.random.Generator,
        draws: int,
        confidence: float,
    ) -> Interval:
        block = means[np.ix_(rows, columns)]
        i = rng.integers(0, rows.size, (draws, rows.size))
        j = rng.integers(0, columns.size, (draws, columns.size))
        drawn = block[i[:, :, None], j[:, None, :]].mean((1, 2))
        return interval_of_draws(float(block.mean()), drawn, confidence)
