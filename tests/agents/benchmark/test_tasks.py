"""A result is named by all that decides it."""

from dataclasses import replace

import pytest

from ocngame.agents.benchmark.entrants import Entrant
from ocngame.agents.benchmark.suite import Suite
from ocngame.agents.benchmark.tasks import (
    PairTask,
    Place,
    VideoTask,
    player_tasks,
    training_tasks,
)

SUITE = Suite(name="s", worlds=("simple_push",), seeds=(0,), frames=400)
PLACE = Place.of(SUITE, "simple_push")
RANDOM = Entrant(label="random", run=None)

TASKS = {
    "training": training_tasks(SUITE)[0],
    "player": player_tasks(SUITE)[0],
    "pair": PairTask(
        first="a",
        second="b",
        entrants=(RANDOM, RANDOM),
        place=PLACE,
        episodes=8,
        evaluation_seed=1,
    ),
    "video": VideoTask(cell="a", entrant=RANDOM, place=PLACE, evaluation_seed=1),
}


@pytest.mark.parametrize("kind", TASKS)
def test_another_evaluation_seed_or_place_is_another_result(kind):
    task = TASKS[kind]
    others = [
        replace(task, evaluation_seed=7),
        replace(task, place=replace(PLACE, copies=PLACE.copies + 1)),
    ]
    if kind in {"training", "player", "pair"}:
        others.append(replace(task, episodes=9))
    stems = {other.stem for other in [task, replace(task), *others]}
    assert len(stems) == len(others) + 1
