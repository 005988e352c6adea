"""Numbers of a report: contenders per world and team, at equal frames and equal processor time.

At equal frames, every run is measured at its end. At equal processor time, every run is read off
its curve at the smallest time that any run of the world took, linearly between two measurements; a
run without two measurements around that time counts with the nearest. Across worlds of one team,
scores are (return - random) / (best contender - random), by inter-quartile means.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ocngame.agents.benchmark.crossplay import CrossPlay
from ocngame.agents.benchmark.statistics import Interval, stratified_bootstrap
from ocngame.agents.benchmark.suite import Suite

__all__ = ["cross_table", "summarise"]

_SEED = 0
_MEASURES = ("drawn", "deterministic")


def summarise(
    suite: Suite,
    results: Sequence[Mapping[str, Any]],
    crosses: Mapping[str, Any],
    failures: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """Sum up.

    Args:
        suite: The suite.
        results: Trainings and random play.
        crosses: Per world what `cross_table` gave.
        failures: Cells that could not be made.

    Returns:
        Plain data: `suite`, `rows`, `across`, `crossplay`, `failures` and all `results`.
    """
    rows = [row for world in suite.worlds for row in _rows(suite, world, results)]
    return {
        "suite": asdict(suite),
        "rows": rows,
        "across": _across(suite, results),
        "crossplay": dict(crosses),
        "failures": list(failures),
        "results": list(results),
    }


def cross_table(suite: Suite, teams: Sequence[str], cross: CrossPlay) -> dict[str, Any]:
    """Sum the pairings of a world up.

    Args:
        suite: The suite.
        teams: The two teams.
        cross: Their returns.

    Returns:
        Plain data: `labels`, `teams`, `returns` per team, row and column, and `ratings`.
    """
    options: dict[str, Any] = {"draws": suite.draws, "confidence": suite.confidence}
    matrices = cross.matrices(seed=_SEED, **options)
    ratings = cross.ratings(seed=_SEED, draws=min(suite.draws, 500), confidence=suite.confidence)
    return {
        "labels": list(cross.labels),
        "teams": list(teams),
        "returns": {
            team: [[asdict(cell) for cell in row] for row in matrix]
            for team, matrix in zip(teams, matrices, strict=True)
        },
        "ratings": {
            label: asdict(rating) for label, rating in zip(cross.labels, ratings, strict=True)
        },
    }


def _rows(suite: Suite, world: str, results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    own = [r for r in results if r["world"] == world]
    trained = [r for r in own if r["kind"] == "training"]
    budget = min((r["cpu_seconds"] for r in trained), default=0.0)
    rows = []
    for label in dict.fromkeys(r["label"] for r in own):
        runs = [r for r in own if r["label"] == label]
        for team in runs[0]["teams"]:
            row: dict[str, Any] = {
                "world": world,
                "team": team,
                "label": label,
                "runs": len(runs),
                "frames": runs[0].get("frames", 0),
                "cpu_seconds": float(np.mean([r.get("cpu_seconds", 0.0) for r in runs])),
                "budget": budget,
            }
            for measure in _MEASURES:
                scores = [r["teams"][team][measure] for r in runs]
                row[measure] = asdict(_interval(suite, [scores]))
                if label != "random":
                    curves = [r["teams"][team]["curve"] for r in runs]
                    at = [float(np.interp(budget, c["cpu_seconds"], c[measure])) for c in curves]
                    row[f"{measure}_at_budget"] = asdict(_interval(suite, [at]))
            rows.append(row)
    return rows


def _across(suite: Suite, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    strata: dict[str, list[list[float]]] = {}
    worlds = [
        world
        for world in suite.worlds
        if {len(r["teams"]) for r in results if r["world"] == world} == {1}
    ]
    for world in worlds:
        scores: dict[str, list[float]] = {}
        for r in results:
            if r["world"] == world:
                (team,) = r["teams"].values()
                scores.setdefault(r["label"], []).append(team["drawn"])
        floor = float(np.mean(scores.pop("random", [np.nan])))
        best = max((_interval(suite, [s]).value for s in scores.values()), default=np.nan)
        if np.isfinite(floor) and best > floor:
            for label, values in scores.items():
                strata.setdefault(label, []).append(
                    [(value - floor) / (best - floor) for value in values]
                )
    return {
        label: {"worlds": len(own), **asdict(_interval(suite, own))}
        for label, own in strata.items()
        if len(own) > 1
    }


def _interval(suite: Suite, strata: Sequence[Sequence[float]]) -> Interval:
    return stratified_bootstrap(strata, seed=_SEED, draws=suite.draws, confidence=suite.confidence)
