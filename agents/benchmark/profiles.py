r"""Performance profiles: which share of the runs reaches a score.

With scores x_{m,i} of run i in stratum (world) m,

    F(tau) = mean over all runs of 1[x_{m,i} >= tau]

(Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", 2021,
section 4.2), for exploitability with `<=`, as less is better. The band is that of percentiles over
draws that take from every stratum as many runs as it has, with replacement, at each tau by itself.

What is put together is comparable: scores of worlds of one team, as (return - random) / (best
contender - random); else one team of one world by itself, as opposing teams are never averaged:
what its runs get against the whole field of cross-play; and exploitabilities of one world.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocngame.agents.benchmark.suite import Suite

__all__ = ["performance_profile", "profile_panels"]

Array = NDArray[np.float64]

_POINTS = 101
_SEED = 0


def performance_profile(
    strata: Sequence[Sequence[float] | Array],
    taus: Array,
    *,
    seed: int,
    draws: int,
    confidence: float,
    at_most: bool = False,
) -> tuple[Array, Array, Array]:
    """Compute a profile.

    Args:
        strata: Scores of each stratum.
        taus: [K], where to look.
        seed: Of the draws.
        draws: Bootstrap draws.
        confidence: Of the band.
        at_most: Whether less is better.

    Returns:
        The share at each tau, and the band's lower and upper end; each [K].
    """
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(s, dtype=np.float64) for s in strata]
    drawn = np.concatenate([a[rng.integers(0, a.size, (draws, a.size))] for a in arrays], axis=1)
    whole = np.concatenate(arrays)[None]

    def share(scores: Array) -> Array:
        sign = -1.0 if at_most else 1.0
        ordered = np.sort(sign * scores, axis=1)
        below = np.stack([np.searchsorted(row, sign * taus, side="left") for row in ordered])
        return 1.0 - below / scores.shape[1]

    low, high = np.quantile(share(drawn), [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return share(whole)[0], low, high


def profile_panels(
    suite: Suite,
    normalised: Mapping[str, Sequence[Sequence[float]]],
    crosses: Mapping[str, Any],
    exploitabilities: Mapping[str, Mapping[str, Sequence[float]]],
) -> list[dict[str, Any]]:
    """Compute all profiles of a benchmark.

    Args:
        suite: The suite.
        normalised: Per contender, scores per world of one team.
        crosses: Per world what `cross_table` gave.
        exploitabilities: Per world and contender, those of the runs.

    Returns:
        Plain data: `title`, `axis`, `taus`, and `profiles` per contender of `value`, `low` and
        `high`.
    """
    panels = []
    if normalised:
        panels.append(_panel(suite, "worlds of one team", "score", normalised, at_most=False))
    for world, cross in crosses.items():
        for team in cross["teams"]:
            own = {label: [runs] for label, runs in cross["field"][team].items() if len(runs) > 1}
            if own:
                title = f"{world}: {team} against the field"
                panels.append(_panel(suite, title, "return", own, at_most=False))
    for world, contenders in exploitabilities.items():
        own = {label: [runs] for label, runs in contenders.items() if len(runs) > 1}
        if own:
            panels.append(_panel(suite, world, "exploitability", own, at_most=True))
    return panels


def _panel(
    suite: Suite,
    title: str,
    axis: str,
    strata: Mapping[str, Sequence[Sequence[float]]],
    *,
    at_most: bool,
) -> dict[str, Any]:
    every = np.concatenate([np.asarray(s) for own in strata.values() for s in own])
    low, high = float(every.min()), float(every.max())
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    taus = np.linspace(low - margin, high + margin, _POINTS)
    profiles = {}
    for label, own in strata.items():
        value, lower, upper = performance_profile(
            own,
            taus,
            seed=_SEED,
            draws=suite.draws,
            confidence=suite.confidence,
            at_most=at_most,
        )
        profiles[label] = {
            "value": value.tolist(),
            "low": lower.tolist(),
            "high": upper.tolist(),
        }
    return {
        "title": title,
        "axis": axis,
        "at_most": at_most,
        "taus": taus.tolist(),
        "profiles": profiles,
    }
