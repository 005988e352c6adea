"""The planner, what it knows, and the greedy players: in our worlds and in the original ones."""

import pytest
import torch

from ocngame.agents import (
    EpisodeReturns,
    GreedyDecider,
    NashPlanner,
    PlannerOptions,
    RandomDecider,
    evaluate,
    scenario_of,
)
from ocngame.agents.observer import Observer
from ocngame.envs import batched_world, make
from ocngame.envs.batched import ParticleWorld, SimpleTag
from ocngame.errors import InvalidInputError, UnknownNameError

QUICK = PlannerOptions(horizon=4, look=4)


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
    world = batched_world("simple_push", batch_size=16, seed=0)
    scenario = scenario_of(world)
    mine = (
        NashPlanner(scenario, ["agent"], options=QUICK)
        if kind == "planner"
        else GreedyDecider(scenario, ["agent"])
    )
    random = RandomDecider([g for g in world.groups if g.name == "agent"])
    low, _ = interval(played(world, mine, "agent", 16), "agent")
    _, high = interval(played(world, random, "agent", 16), "agent")
    assert low > high


SLOWER = [pytest.param(name, marks=pytest.mark.slow) for name in ("simple_tag", "simple_adversary")]


@pytest.mark.parametrize("name", ["simple_spread", *SLOWER])
def test_actions_are_valid_and_repeat(name: str):
    world = batched_world(name, batch_size=2, seed=0, max_cycles=3)
    for make_decider in (lambda s: NashPlanner(s, options=QUICK), GreedyDecider):
        first, second = (
            evaluate(world, [make_decider(scenario_of(world))], episodes=2, seed=4)
            for _ in range(2)
        )
        assert first.lengths.tolist() == [3, 3]
        for team, returns in first.by_team.items():
            assert torch.equal(returns, second.by_team[team])


def test_a_box_gets_numbers_within_it():
    world = batched_world("simple_push", seed=0, continuous_actions=True)
    planner = NashPlanner(scenario_of(world), options=QUICK, continuous_actions=True)
    actions, _ = planner.act(world.reset(0), planner.start(world), torch.Generator())
    for group in world.groups:
        assert actions[group.name].shape == (1, 1, 5)
        assert bool(((actions[group.name] >= 0) & (actions[group.name] <= 1)).all())


@pytest.mark.parametrize("group", ["adversary", "agent"])
def test_the_observer_reads_off_where_everything_is(group: str):
    world = batched_world("simple_tag", batch_size=3, seed=0, dtype=torch.float64)
    assert isinstance(world, ParticleWorld)
    observer = Observer(world.scenario, [group])
    moment = world.reset(5)
    seen = observer.read(moment, observer.begin(3, world.device))
    at = world.scenario.layout
    positions = slice(0, 2 * at.entities)
    torch.testing.assert_close(seen.x[:, positions], world.x[positions].T, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["simple_push", *SLOWER])
def test_it_plays_inside_the_original_world(name: str):
    pytest.importorskip("mpe2")
    world = make(f"mpe2.{name}_v3", batch_size=1, seed=0, max_cycles=4)
    scenario = scenario_of(world)
    teams = [
        NashPlanner(scenario, ["adversary"], options=QUICK),
        GreedyDecider(scenario, ["agent"]),
    ]
    found = evaluate(world, teams, episodes=1, seed=0)
    assert found.lengths.tolist() == [4]
    assert all(bool(torch.isfinite(r).all()) for r in found.by_team.values())


def test_what_does_not_fit_is_refused():
    world = batched_world("simple_push", seed=0)
    with pytest.raises(InvalidInputError, match="simple_tag"):
        NashPlanner(SimpleTag(), options=QUICK).start(world)
    with pytest.raises(InvalidInputError, match="a Box"):
        NashPlanner(scenario_of(world), continuous_actions=True).start(world)
    with pytest.raises(InvalidInputError, match="holds"):
        PlannerOptions(holds=())
    with pytest.raises(UnknownNameError, match="adversary"):
        NashPlanner(SimpleTag(), ["adversry"])
