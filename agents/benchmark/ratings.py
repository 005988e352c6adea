"""Ratings from wins: the Bradley-Terry model by maximum likelihood, on Elo's scale.

Player i beats j with probability 1 / (1 + exp(s_j - s_i)). With w_ij wins of i over j and
n_ij = w_ij + w_ji, the log-likelihood sum_ij w_ij log p_ij is concave in s, with

    gradient  g_i = sum_j (w_ij - n_ij p_ij),    -Hessian = the Laplacian of n_ij p_ij p_ji,

and its maximum is reached by Newton steps of at most 1 in any s_i, halved while they do not gain.

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
    wins: NDArray[np.float64], *, prior: float = 0.0, tolerance: float = 1e-9
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
    change, height = np.inf, _likelihood(wins, logs)
    for _ in range(1000):
        chances = 1 / (1 + np.exp(logs - logs[:, None]))
        weights = games * chances * chances.T
        gradient = won - (games * chances).sum(1)
        laplacian = np.diag(weights.sum(1)) - weights
        step = np.linalg.pinv(laplacian, hermitian=True) @ gradient
        step /= max(1.0, float(np.abs(step).max()))
        change = float(np.abs(step).max())
        if change < tolerance:
            return _SCALE * (logs - logs.mean())
        while _likelihood(wins, logs + step) < height and np.abs(step).max() > tolerance:
            step /= 2
        logs = logs + step
        height = _likelihood(wins, logs)
    raise ConvergenceError(f"wins: log-strengths still move by {change:.1e} after 1000 steps")


def _likelihood(wins: NDArray[np.float64], logs: NDArray[np.float64]) -> float:
    return -float((wins * np.logaddexp(0.0, logs - logs[:, None])).sum())
