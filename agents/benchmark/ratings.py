"""Ratings from wins: the Bradley-Terry model by maximum likelihood, on Elo's scale.

Player i beats j with probability 1 / (1 + exp(s_j - s_i)). With w_ij wins of i over j and
n_ij = w_ij + w_ji, the log-likelihood is concave in s; its stationary point is reached by
minorisation (Hunter 2004, "MM algorithms for generalized Bradley-Terry models", eq. 3):

    exp(s_i)  <-  sum_j w_ij / sum_j n_ij / (exp(s_i) + exp(s_j)).

It exists if and only if nobody can be split off who never loses to, or never wins against, the
rest: the graph of wins is strongly connected (Ford 1957). `prior` adds that many wins each way
between any two players, and the estimate then always exists. Ratings are 400 s / ln 10 with mean 0.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from ocngame._checks import non_negative
from ocngame.errors import ConvergenceError, InvalidInputError

__all__ = ["elo_ratings"]

_SCALE = 400 / np.log(10)


def elo_ratings(
    wins: NDArray[np.float64], *, prior: float = 0.0, tolerance: float = 1e-10
) -> NDArray[np.float64]:
    """Rate players.

    Args:
        wins: [P, P], wins of the row over the column; a draw is half a win for both.
        prior: Wins added each way between any two players.
        tolerance: Largest change of a log-strength at the end.

    Returns:
        [P], mean 0; 400 points are odds of 10 to 1.

    Raises:
        InvalidInputError: if it is no matrix of finite counts, or the maximum does not exist.
        ConvergenceError: if the iteration does not end.
    """
    wins = np.array(wins, dtype=np.float64)
    if wins.ndim != 2 or wins.shape[0] != wins.shape[1] or wins.shape[0] == 0:
        raise InvalidInputError(f"wins: expected a square matrix, got shape {wins.shape}")
    if not np.isfinite(wins).all() or (wins < 0).any():
        raise InvalidInputError("wins: expected finite numbers of at least 0")
    non_negative("prior", prior)
    wins = wins + prior
    np.fill_diagonal(wins, 0.0)
    if connected_components(wins > 0, connection="strong")[0] > 1:
        raise InvalidInputError(
            "wins: no finite ratings exist, as some players never lost to, or never met, the rest; "
            "use a prior above 0"
        )
    games, won = wins + wins.T, wins.sum(1)
    logs = np.zeros(len(wins))
    if len(wins) == 1:
        return logs
    for _ in range(200_000):
        strength = np.exp(logs)
        new = np.log(won) - np.log((games / (strength[:, None] + strength)).sum(1))
        new -= new.mean()
        change, logs = np.abs(new - logs).max(), new
        if change < tolerance:
            return _SCALE * logs
    raise ConvergenceError(f"wins: ratings still move by {change:.1e} after 200000 iterations")
