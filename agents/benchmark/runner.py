"""A whole benchmark: make what is missing, keep going past failures, then sum up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ocngame.agents.benchmark.cells import (
    cells_of,
    measure_random,
    random_stem,
    run_cell,
    safe,
)
from ocngame.agents.benchmark.crossplay import CrossPlay, Entrant, play_pair, two_teams
from ocngame.agents.benchmark.outputs import write_outputs
from ocngame.agents.benchmark.store import Store, content_key
from ocngame.agents.benchmark.suite import Suite
from ocngame.agents.benchmark.summary import cross_table, summarise
from ocngame.agents.training.worlds import WorldMaker, make_world

__all__ = ["Notify", "run_benchmark"]

Notify = Callable[[str, int, int], None]
"""Is told what is being done, and how much of it is done, of how much."""


def run_benchmark(
    suite: Suite,
    out: Path,
    *,
    make: WorldMaker = make_world,
    notify: Notify | None = None,
) -> dict[str, Any]:
    """Run a suite, or what is left of it.

    Args:
        suite: The suite.
        out: Its folder; what another call has finished there is not made again.
        make: Makes worlds.
        notify: Is told of the progress, where given.

    Returns:
        What results.json holds.
    """
    store, failures = Store(out), []
    say = notify if notify is not None else _quiet

    def obtain(stem: str, produce: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        found = store.read(stem)
        if found is not None:
            return found
        try:
            store.write(stem, produce())
        except Exception as error:  # noqa: BLE001 - whatever one cell meets, the others go on
            failures.append(store.write_failure(stem, error))
        return store.read(stem)

    cells = cells_of(suite)
    random = {}
    for world in suite.worlds:
        stem = random_stem(suite, world)
        random[world] = obtain(stem, lambda world=world: measure_random(suite, world, make))
    trained = []
    for i, cell in enumerate(cells):
        what = f"{i + 1}/{len(cells)} {cell.config.world} {cell.label} seed {cell.config.seed}"

        def tell(done: int, total: int, what: str = what) -> None:
            say(what, done, total)

        trained.append(obtain(cell.stem, lambda c=cell, tell=tell: run_cell(c, store, make, tell)))
    results = [r for r in [*random.values(), *trained] if r is not None]
    crosses = {}
    for world in suite.worlds:
        own = [r for r in trained if r is not None and r["world"] == world]
        found = _cross(suite, world, own, out, make, obtain, say)
        if found is not None:
            crosses[world] = found
    content = summarise(suite, results, crosses, failures)
    write_outputs(out, content)
    return content


def _quiet(_what: str, _done: int, _total: int) -> None:
    return


def _cross(
    suite: Suite,
    world: str,
    trained: list[dict[str, Any]],
    out: Path,
    make: WorldMaker,
    obtain: Callable[[str, Callable[[], dict[str, Any]]], dict[str, Any] | None],
    notify: Notify,
) -> dict[str, Any] | None:
    """Play all pairings; None where they cannot be played."""
    if not trained or len(trained[0]["teams"]) != 2:
        return None
    config = suite.config(world, suite.algorithms[0], suite.optimizers[0], suite.seeds[0])
    name, copies = config.evaluation or world, config.evaluation_copies
    place = make(name, copies, config.device)
    try:
        teams = two_teams(place)
        if teams is None:
            return None
        who = [(r["cell"], Entrant(label=r["label"], run=out / r["run"])) for r in trained]
        who.append(("random", Entrant(label="random", run=None)))
        table: dict[tuple[int, int], dict[str, list[float]]] = {}
        total = len(who) ** 2
        for i, (first, x) in enumerate(who):
            for j, (second, y) in enumerate(who):
                settings = {
                    "first": first,
                    "second": second,
                    "world": name,
                    "copies": copies,
                    "episodes": suite.crossplay_episodes,
                    "seed": suite.evaluation_seed,
                }
                stem = f"{safe(world)}-crossplay-{content_key(settings)}"

                def produce(x: Entrant = x, y: Entrant = y, s: dict = settings) -> dict[str, Any]:
                    pair = play_pair(place, x, y, episodes=s["episodes"], seed=s["seed"])
                    return {"kind": "crossplay", **s, "returns": pair}

                result = obtain(stem, produce)
                if result is not None:
                    table[i, j] = result["returns"]
                notify(f"{world} cross-play", len(table), total)
    finally:
        place.close()
    if len(table) < total:
        return None
    n = range(len(who))
    returns = np.array([[[table[i, j][team] for j in n] for i in n] for team in teams])
    return cross_table(suite, teams, CrossPlay([entrant for _, entrant in who], returns))
