"""A whole benchmark: make what is missing, keep going past failures, then sum up."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ocngame._checks import integer
from ocngame.agents.benchmark.crossplay import CrossPlay
from ocngame.agents.benchmark.entrants import Entrant
from ocngame.agents.benchmark.outputs import write_outputs
from ocngame.agents.benchmark.pool import run_tasks
from ocngame.agents.benchmark.responses import ResponseTask
from ocngame.agents.benchmark.store import Store
from ocngame.agents.benchmark.suite import Suite
from ocngame.agents.benchmark.summary import cross_table, summarise
from ocngame.agents.benchmark.tasks import (
    PairTask,
    Place,
    PlayerTask,
    Task,
    TrainingTask,
    VideoTask,
    player_tasks,
    training_tasks,
)
from ocngame.agents.benchmark.tensorboard import require_tensorboard
from ocngame.agents.benchmark.videos import can_be_drawn
from ocngame.agents.training.worlds import WorldMaker, make_world

__all__ = ["Notify", "run_benchmark"]

Notify = Callable[[str, int, int], None]
"""Is told what is being done, and how much of it is done, of how much; an empty text now and then
while there is nothing to tell."""

Made = tuple[str, Entrant, dict[str, Any]]
"""Name of a cell or a player, who plays, and the result."""


def run_benchmark(
    suite: Suite,
    out: Path,
    *,
    make: WorldMaker = make_world,
    notify: Notify | None = None,
    jobs: int = 1,
    tensorboard: bool = False,
) -> dict[str, Any]:
    """Run a suite, or what is left of it.

    Args:
        suite: The suite.
        out: Its folder; what another call has finished there is not made again.
        make: Makes worlds; with several processes, something that cloudpickle can send.
        notify: Is told of the progress, where given.
        jobs: Processes that make cells.
        tensorboard: Whether curves are written for TensorBoard as well.

    Returns:
        What results.json holds.
    """
    integer("jobs", jobs, low=1)
    if tensorboard:
        require_tensorboard()
    store, failures = Store(out), []
    say = notify if notify is not None else _quiet

    def obtain(tasks: Sequence[Task]) -> dict[str, dict[str, Any]]:
        for task, kind, error in run_tasks(tasks, store, make, say, jobs):
            failures.append(store.write_failure(task.stem, kind, error))
        found = {task.stem: store.read(task.stem) for task in tasks}
        return {stem: result for stem, result in found.items() if result is not None}

    players, trainings = player_tasks(suite), training_tasks(suite)
    found = obtain([*players, *trainings])
    made = {world: _made(world, players, trainings, found, out) for world in suite.worlds}
    later: list[Task] = []
    pairs: dict[str, list[PairTask]] = {}
    for world, own in made.items():
        pairs[world] = _pairs(suite, world, own)
        later += [*_responses(suite, world, own), *pairs[world], *_videos(suite, world, own)]
    after = obtain(later)
    crosses = {}
    for world, tasks in pairs.items():
        if tasks and all(task.stem in after for task in tasks):
            crosses[world] = _cross(suite, made[world], [after[t.stem] for t in tasks])
    results = [*found.values(), *(r for r in after.values() if r["kind"] != "crossplay")]
    content = summarise(suite, results, crosses, failures)
    write_outputs(out, content, tensorboard=tensorboard)
    return content


def _quiet(_what: str, _done: int, _total: int) -> None:
    return


def _made(
    world: str,
    players: Sequence[PlayerTask],
    trainings: Sequence[TrainingTask],
    found: dict[str, dict[str, Any]],
    out: Path,
) -> list[Made]:
    """Give who can play in a world: first who was trained, then who need not be."""
    made: list[Made] = []
    for task in trainings:
        result = found.get(task.stem)
        if result is not None and task.place.world == world:
            entrant = Entrant(label=result["label"], run=out / result["run"])
            made.append((task.stem, entrant, result))
    for task in players:
        result = found.get(task.stem)
        if result is not None and task.place.world == world:
            entrant = Entrant(label=result["label"], run=None, player=task.player)
            made.append((task.player, entrant, result))
    return made


def _responses(suite: Suite, world: str, made: Sequence[Made]) -> list[ResponseTask]:
    place = Place.of(suite, world)
    return [
        ResponseTask(
            cell=cell,
            run=result["config"],
            label=entrant.label,
            team=team,
            place=place,
            config=suite.response_config(world),
            frames=suite.response_frames,
            episodes=suite.episodes,
            evaluation_seed=suite.evaluation_seed,
        )
        for cell, entrant, result in made
        if suite.response_frames > 0 and entrant.run is not None and result["gains"] is None
        for team in (result["teams"] if len(result["teams"]) > 1 else ())
    ]


def _pairs(suite: Suite, world: str, made: Sequence[Made]) -> list[PairTask]:
    """List all pairings in a world of two teams; none where nobody was trained."""
    if not any(entrant.run is not None for _, entrant, _ in made) or len(made[0][2]["teams"]) != 2:
        return []
    place = Place.of(suite, world)
    return [
        PairTask(
            first=first,
            second=second,
            entrants=(x, y),
            place=place,
            episodes=suite.crossplay_episodes,
            evaluation_seed=suite.evaluation_seed,
        )
        for first, x, _ in made
        for second, y, _ in made
    ]


def _videos(suite: Suite, world: str, made: Sequence[Made]) -> list[VideoTask]:
    if not suite.videos or not can_be_drawn(world):
        return []
    first = {entrant.label: (cell, entrant) for cell, entrant, _ in reversed(made)}
    return [
        VideoTask(
            cell=cell,
            entrant=entrant,
            place=Place.of(suite, world),
            evaluation_seed=suite.evaluation_seed,
        )
        for cell, entrant in first.values()
    ]


def _cross(suite: Suite, made: Sequence[Made], results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    teams = list(made[0][2]["teams"])
    n = len(made)
    returns = np.array([[r["returns"][team] for r in results] for team in teams])
    cross = CrossPlay([entrant for _, entrant, _ in made], returns.reshape(2, n, n, -1))
    return cross_table(suite, teams, cross)
