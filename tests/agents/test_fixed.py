"""A world with fixed opponents is the world, seen by who is left."""

import pytest
import torch

from ocngame.agents import GreedyDecider, RandomDecider, evaluate, scenario_of
from ocngame.agents.fixed import AgainstFixed
from ocngame.agents.selfplay import make_turn_world
from ocngame.agents.training.worlds import make_world
from ocngame.envs import check_world
from ocngame.errors import InvalidInputError


def chasing(copies: int) -> AgainstFixed:
    world = make_world("simple_tag", copies, "cpu")
    return AgainstFixed(world, [GreedyDecider(scenario_of(world), ["adversary"])])


def test_it_passes_the_checks_of_worlds():
    check_world(lambda: chasing(2), episodes=3, seed=0)


def test_others_move_when_nobody_acts():
    world = make_turn_world("leduc", 64)
    left = AgainstFixed(world, [RandomDecider(world.groups[:1])])
    moment = left.reset(0)
    assert not bool(moment.acting["player_1"].any())
    assert left.groups[0].name == "player_1"
    found = evaluate(left, [RandomDecider(left.groups)], episodes=640, seed=1)
    whole = make_turn_world("leduc", 64)
    wanted = evaluate(whole, [RandomDecider(whole.groups)], episodes=640, seed=1)
    error = wanted.by_team["player_1"].std() * (2 / 640) ** 0.5
    assert abs(found.means["player_1"] - wanted.means["player_1"]) < 4 * float(error)


def test_returns_are_those_of_the_whole_world():
    """Greedy players draw nothing, so the same starts give the same episodes."""
    whole = make_world("simple_tag", 16, "cpu")
    players = [GreedyDecider(scenario_of(whole))]
    wanted = evaluate(whole, players, episodes=16, seed=4).by_team["agent"]
    left = chasing(16)
    (group,) = left.groups
    assert group.name == "agent"
    found = evaluate(left, [_Prey(scenario_of(whole))], episodes=16, seed=4)
    assert torch.equal(found.by_team["agent"], wanted)


class _Prey(GreedyDecider):
    def __init__(self, scenario):
        super().__init__(scenario, ["agent"])


def test_it_goes_on_from_a_state():
    world, actions = chasing(4), {"agent": torch.full((4, 1), 2)}
    world.reset(1)
    world.step(actions)
    kept = world.state_dict()
    first = world.step(actions)
    world.load_state_dict(kept)
    again = world.step(actions)
    assert torch.equal(first.rewards["agent"], again.rewards["agent"])
    assert torch.equal(first.next.state, again.next.state)


def test_who_cannot_be_seated():
    world = make_world("simple_tag", 2, "cpu")
    with pytest.raises(InvalidInputError, match="others: expected to play some of the groups"):
        AgainstFixed(world, [RandomDecider(world.groups)])
    with pytest.raises(InvalidInputError, match="others: expected to play some of the groups"):
        AgainstFixed(world, [])
    with pytest.raises(InvalidInputError, match="reset before the first step"):
        chasing(1).step({})
