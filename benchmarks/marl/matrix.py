"""Every entrant against every other, kept pair by pair."""

import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.marl.entrants import Entrant
from ocngame.agents import evaluate
from ocngame.envs import batched_world

__all__ = ["Cell", "means_with_intervals", "play_missing", "read"]

SEED = 20_000
"""Of the starts: the same episodes for every pair."""

Cell = tuple[float, float, float]
"""A mean, and the ends of its interval."""


def read(path: Path) -> dict[str, dict[str, list[float]]]:
    """Read the pairs that have been played.

    Args:
        path: The file.

    Returns:
        Returns in every episode by `first|second` and team.
    """
    return json.loads(path.read_text()) if path.exists() else {}


def play_missing(world: str, players: list[Entrant], episodes: int, path: Path) -> None:
    """Play what has not been played.

    Args:
        world: Name of the world, of two teams.
        players: All of them.
        episodes: Of a pair.
        path: The file, written anew after every pair.
    """
    kept = read(path)
    place = batched_world(world, batch_size=episodes, seed=0)
    teams = list(dict.fromkeys(group.team for group in place.groups))
    for first in players:
        for second in players:
            key = f"{first.name}|{second.name}"
            if key in kept:
                continue
            start = time.process_time()
            deciders = [
                p.decider(place, team) for p, team in zip((first, second), teams, strict=True)
            ]
            played = evaluate(place, deciders, episodes=episodes, seed=SEED)
            kept[key] = {t: [round(float(v), 4) for v in r] for t, r in played.by_team.items()}
            part = path.with_suffix(".part")
            part.write_text(json.dumps(kept))
            part.replace(path)
            means = {t: round(v, 2) for t, v in played.means.items()}
            print(world, key, means, f"{time.process_time() - start:.1f} s", flush=True)


def means_with_intervals(
    returns: NDArray[np.float64], rng: np.random.Generator, draws: int = 1000
) -> Cell:
    """Give a mean over runs and episodes with its 95% bootstrap interval.

    Args:
        returns: [runs of the first, runs of the second, episodes]; the runs of either side and the
            episodes are drawn with replacement, each by itself.
        rng: Of the draws.
        draws: Their number.

    Returns:
        The mean and the ends.
    """
    a, b, e = returns.shape
    found = np.empty(draws)
    for k in range(draws):
        part = returns[rng.integers(0, a, a)][:, rng.integers(0, b, b)]
        found[k] = part[..., rng.integers(0, e, e)].mean()
    low, high = np.quantile(found, [0.025, 0.975])
    return float(returns.mean()), float(low), float(high)
