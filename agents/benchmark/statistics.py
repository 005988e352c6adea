"""The inter-quartile mean and its stratified bootstrap interval.

With n sorted scores and k = floor(n / 4), the inter-quartile mean is that of the scores k + 1 to
n - k: of all scores where n < 4. The interval is that of percentiles over draws: a draw takes from
every stratum (a world) as many scores as it has, with replacement, and pools them; Agarwal et al.,
"Deep Reinforcement Learning at the Edge of the Statistical Precipice", 2021, section 4.3. With few
runs these intervals are too narrow: of three runs, a draw is the same run three times in 1 of 9.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocngame._checks import in_range, integer
from ocngame.errors import InvalidInputError, NonFiniteError

__all__ = ["Interval", "inter_quartile_mean", "interval_of_draws", "stratified_bootstrap"]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number and where it may lie.

    Attributes:
        value: The number.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def inter_quartile_mean(scores: Array) -> Array:
    """Average the middle half.

    Args:
        scores: [..., n].

    Returns:
        [...].

    Raises:
        InvalidInputError: if there is no score.
    """
    n = scores.shape[-1]
    if n == 0:
        raise InvalidInputError("scores: expected at least one, got none")
    cut = n // 4
    return np.asarray(np.sort(scores, axis=-1)[..., cut : n - cut].mean(-1))


def interval_of_draws(value: float, draws: Array, confidence: float) -> Interval:
    """Give the percentile interval.

    Args:
        value: The number itself.
        draws: [D], its bootstrap draws.
        confidence: Share of the draws inside.

    Returns:
        The interval.
    """
    in_range("confidence", confidence, low=0.0, high=1.0, low_open=True, high_open=True)
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value=float(value), low=float(low), high=float(high))


def stratified_bootstrap(
    strata: Sequence[Sequence[float] | Array],
    *,
    seed: int,
    draws: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Give the inter-quartile mean of all scores, with its interval.

    Args:
        strata: The scores of each stratum.
        seed: Of the draws.
        draws: Their number.
        confidence: Of the interval.

    Returns:
        The interval.

    Raises:
        InvalidInputError: if a stratum is empty or there is none.
        NonFiniteError: if a score is not finite.
    """
    integer("draws", draws, low=1)
    arrays = [np.asarray(s, dtype=np.float64) for s in strata]
    if not arrays or any(a.ndim != 1 or a.size == 0 for a in arrays):
        raise InvalidInputError("strata: expected lists of scores, none empty")
    if not all(np.isfinite(a).all() for a in arrays):
        raise NonFiniteError("strata: a score is not finite")
    rng = np.random.default_rng(seed)
    drawn = [a[rng.integers(0, a.size, (draws, a.size))] for a in arrays]
    value = inter_quartile_mean(np.concatenate(arrays))
    return interval_of_draws(
        float(value), inter_quartile_mean(np.concatenate(drawn, axis=1)), confidence
    )
