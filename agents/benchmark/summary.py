"""Numbers of a report: contenders per world and team, at equal frames and equal processor time.

At equal frames, every run is measured at its end. At equal processor time, every run is read off
its curve at the smallest time that any run of the world took, linearly between two measurements; a
run without two measurements around that time counts with the nearest. Across worlds of one team,
scores are (return - random) / (best contender - random), by inter-quartile means.

The exploitability of a run is the mean over the teams of what each would win by a best response to
the others (for two teams, half of the sum): exact where the world is small enough (`kind` exact),
else by trained responses (`kind` trained: an estimate from below).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ocngame.agents.benchmark.crossplay import CrossPlay
from ocngame.agents.benchmark.profiles import profile_panels
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
        results: Trainings, players without training, responses and videos.
        crosses: Per world what `cross_table` gave.
        failures: Cells that could not be made.

    Returns:
        Plain data: `suite`, `rows`, `exploitability`, `across`, `crossplay`, `profiles`, `failures`
        and all `results`.
    """
    rows = [row for world in suite.worlds for row in _rows(suite, world, results)]
    exploited = {world: _exploited(world, results) for world in suite.worlds}
    normalised = _normalised(suite, results)
    values = {
        world: {label: [e["value"] for e in own] for label, own in found.items()}
        for world, found in exploited.items()
        if found
    }
    return {
        "suite": asdict(suite),
        "rows": rows,
        "exploitability": [
            row for world, own in exploited.items() for row in _exploit_rows(suite, world, own)
        ],
        "across": {
            label: {"worlds": len(own), **asdict(_interval(suite, own))}
            for label, own in normalised.items()
            if len(own) > 1
        },
        "crossplay": dict(crosses),
        "profiles": profile_panels(suite, normalised, crosses, values),
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
        Plain data: `labels`, `teams`, `returns` per team, row and column, `ratings`, and `field`:
        per team and contender what its runs get against all contenders.
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
        "field": dict(zip(teams, cross.field(), strict=True)),
        "ratings": {
            label: asdict(rating) for label, rating in zip(cross.labels, ratings, strict=True)
        },
    }


def _rows(suite: Suite, world: str, results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    own = [r for r in results if r["world"] == world and r["kind"] in {"training", "player"}]
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
                if runs[0]["kind"] == "training":
                    curves = [r["teams"][team]["curve"] for r in runs]
                    at = [float(np.interp(budget, c["cpu_seconds"], c[measure])) for c in curves]
                    row[f"{measure}_at_budget"] = asdict(_interval(suite, [at]))
            rows.append(row)
    return rows


def _exploited(world: str, results: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Give the exploitability of every run, per contender; without those it is not known of."""
    found: dict[str, list[dict[str, Any]]] = {}
    own = [r for r in results if r["world"] == world]
    for r in own:
        if r["kind"] not in {"training", "player"}:
            continue
        gains, kind = r["gains"], "exact"
        if gains is None and r["kind"] == "training":
            replies = [a for a in own if a["kind"] == "response" and a["cell"] == r["cell"]]
            gains, kind = {a["team"]: a["gain"] for a in replies}, "trained"
        if gains and len(gains) == len(r["teams"]):
            entry = {"kind": kind, "value": sum(gains.values()) / len(gains)}
            entry |= {"curve": r.get("exploitability_curve"), "gains": gains}
            found.setdefault(r["label"], []).append(entry)
    return found


def _exploit_rows(
    suite: Suite, world: str, exploited: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    curves = [e["curve"] for own in exploited.values() for e in own if e["curve"] is not None]
    budget = min((c["cpu_seconds"][-1] for c in curves), default=0.0)
    rows = []
    for label, own in exploited.items():
        row: dict[str, Any] = {
            "world": world,
            "label": label,
            "runs": len(own),
            "kind": own[0]["kind"],
            "budget": budget,
            "gains": {t: float(np.mean([e["gains"][t] for e in own])) for t in own[0]["gains"]},
            "exploitability": asdict(_interval(suite, [[e["value"] for e in own]])),
        }
        if all(e["curve"] is not None for e in own):
            at = [
                float(np.interp(budget, e["curve"]["cpu_seconds"], e["curve"]["value"]))
                for e in own
            ]
            row["exploitability_at_budget"] = asdict(_interval(suite, [at]))
        rows.append(row)
    return rows


def _normalised(suite: Suite, results: Sequence[Mapping[str, Any]]) -> dict[str, list[list[float]]]:
    """Give scores of contenders, a list per world of one team that has them."""
    strata: dict[str, list[list[float]]] = {}
    measured = [r for r in results if r["kind"] in {"training", "player"}]
    worlds = [
        world
        for world in suite.worlds
        if {len(r["teams"]) for r in measured if r["world"] == world} == {1}
    ]
    for world in worlds:
        scores: dict[str, list[float]] = {}
        floors = [np.nan]
        for r in measured:
            if r["world"] == world:
                (team,) = r["teams"].values()
                if r["kind"] == "training":
                    scores.setdefault(r["label"], []).append(team["drawn"])
                elif r["label"] == "random":
                    floors = [team["drawn"]]
        best = max((_interval(suite, [s]).value for s in scores.values()), default=np.nan)
        floor = floors[0]
        if np.isfinite(floor) and best > floor:
            for label, values in scores.items():
                strata.setdefault(label, []).append(
                    [(value - floor) / (best - floor) for value in values]
                )
    return strata


def _interval(suite: Suite, strata: Sequence[Sequence[float]]) -> Interval:
    return stratified_bootstrap(strata, seed=_SEED, draws=suite.draws, confidence=suite.confidence)
