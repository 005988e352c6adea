"""The planner and the greedy players against random ones."""

import pytest

from ocngame.agents import (
    EpisodeReturns,
    GreedyDecider,
    NashPlanner,
    PlannerOptions,
    RandomDecider,
    evaluate,
    scenario_of,
)
from ocngame.envs import batched_world

QUICK = PlannerOptions(horizon=4, iterations=1)


def played(world, decider_of, planned: str, episodes: int) -> EpisodeReturns:
    rest = [g for g in world.groups if g.name != planned]
    deciders = [decider_of, *([RandomDecider(rest)] if rest else [])]
    return evaluate(world, deciders, episodes=episodes, seed=0)


def interval(returns: EpisodeReturns, team: str) -> tuple[float, float]:
    r = returns.by_team[team].double()
    half = 1.96 * float(r.std()) / len(r) ** 0.5
    return float(r.mean()) - half, float(r.mean()) + half


@pytest.mark.parametrize("kind", ["planner", "greedy"])
def test_it_beats_random_on_simple_push(kind: str):
    world = batched_world("simple_push", batch_size=32, seed=0)
    scenario = scenario_of(world)
    mine = (
        NashPlanner(scenario, ["agent"], options=QUICK)
        if kind == "planner"
        else GreedyDecider(scenario, ["agent"])
    )
    random = RandomDecider([g for g in world.groups if g.name == "agent"])
    low, _ = interval(played(world, mine, "agent", 32), "agent")
    _, high = interval(played(world, random, "agent", 32), "agent")
    assert low > high
