"""Models of opponents: what they expect, and which one is believed."""

import torch

from ocngame.agents.lookahead import Lookahead
from ocngame.agents.opponents import Evidence, Plan, planned_forces, steady_forces, to_nearest
from ocngame.agents.particle_game import PlannerOptions
from ocngame.envs import batched_world
from ocngame.envs.batched import ParticleWorld, SimplePush, SimpleTag
from ocngame.envs.batched.particle_world import ACTIONS


def standing(scenario, x: torch.Tensor, horizon: int = 3) -> Plan:
    """A plan that does nothing."""
    members = [i for group in scenario.groups.values() for i in group]
    order, begin = [0] * 2 * len(members), 0
    for group in scenario.groups.values():
        for axis in range(2):
            for k, agent in enumerate(group):
                order[axis * len(members) + agent] = begin + axis * len(group) + k
        begin += 2 * len(group)
    m = 2 * len(members)
    return Plan(
        states=x.unsqueeze(1).expand(-1, horizon + 1, -1),
        controls=x.new_zeros(len(x), horizon, m),
        feedback=x.new_zeros(len(x), horizon, m, x.shape[1]),
        order=torch.tensor(order),
    )


def test_rounding_is_to_the_nearest_of_the_five():
    forces = 3 * torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) - 1.5
    table = torch.tensor(ACTIONS)
    assert torch.equal(to_nearest(forces), table[torch.cdist(forces, table).argmin(-1)])


def test_a_plan_answers_to_where_a_copy_is():
    scenario = SimplePush()
    x = torch.zeros(2, scenario.layout.size)
    plan = standing(scenario, x)
    feedback = plan.feedback.clone()
    feedback[1, 0, 0, 0] = 2.0
    plan = Plan(plan.states, plan.controls, feedback, plan.order)
    rounds = torch.stack([x, x + 0.5])
    forces = planned_forces(plan, rounds, 0)
    assert forces.shape == (2, 2, 2, 2)
    assert float(forces[1, 1, 0, 0]) == float(torch.tensor(1.0) / torch.tensor(2.0).sqrt())
    assert int((forces != 0).sum()) == 1


def test_steady_agents_push_on_along_the_axis_of_their_motion():
    scenario = SimpleTag()
    at = scenario.layout
    x = torch.zeros(1, at.size)
    x[0, at.vx] = torch.tensor([1.0, 0.05, -0.2, 0.0])
    x[0, at.vy] = torch.tensor([0.3, 0.0, 0.0, -1.3])
    expected = [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, -1.0]]
    assert steady_forces(scenario, x)[0].tolist() == expected


def test_the_model_that_foresees_better_is_believed_and_an_episode_begins_without_belief():
    evidence = Evidence(torch.zeros(2, 2, dtype=torch.float64), None)
    for _ in range(3):
        foreseen = torch.tensor([0.3, 0.0]).view(2, 1, 1, 1).expand(2, 2, 1, 2)
        evidence = Evidence(evidence.score, foreseen).after(
            torch.zeros(2, 1, 2), torch.tensor([True, False]), forget=0.9, error=0.15
        )
    assert float(evidence.chances[1, 0]) > 0.99
    assert evidence.chances[:, 1].tolist() == [0.5, 0.5]


def test_what_is_foreseen_of_a_steady_opponent_is_what_the_world_does():
    world = batched_world("simple_tag", batch_size=4, seed=3)
    assert isinstance(world, ParticleWorld)
    scenario, at = world.scenario, world.scenario.layout
    world.step({g.name: torch.full((4, len(g.agents)), 2) for g in world.groups})
    ahead = Lookahead(scenario, "agent", PlannerOptions(), rounded=True)
    x = world.x.T.clone()
    nothing = torch.zeros(4, at.agents, 2)
    foreseen = ahead.foresee(x, standing(scenario, x), nothing)
    on = steady_forces(scenario, x)[:, :3]
    table = torch.tensor(ACTIONS)
    actions = torch.cdist(on.flatten(0, 1), table).argmin(-1).view(4, 3)
    world.step({"adversary": actions, "agent": torch.zeros(4, 1, dtype=torch.long)})
    v = torch.stack([world.x[at.vx].T, world.x[at.vy].T], -1)[:, :3]
    torch.testing.assert_close(foreseen[1], v)
    assert float((foreseen[0] - v).abs().max()) > 0.05


def test_looking_ahead_goes_to_the_goal_though_the_plan_stands_still():
    """With the adversary away, one agent's candidates are judged by the world's own reward."""
    scenario = SimplePush()
    at = scenario.layout
    x = torch.zeros(1, at.size)
    x[0, at.px], x[0, at.py] = (
        torch.tensor([5.0, 0.0, 0.7, 5.0]),
        torch.tensor([5.0, 0.0, 0.1, 5.0]),
    )
    x[0, at.more][:2] = torch.tensor([0.7, 0.1])
    even = torch.full((2, 1), 0.5)
    options = PlannerOptions(look=4)
    plan = standing(scenario, x)
    chosen = Lookahead(scenario, "agent", options, rounded=True).choose(x, plan, even)
    assert chosen[0, 1].tolist() == [1.0, 0.0]
    away = x.clone()
    away[0, at.more][:2] = torch.tensor([0.1, -0.7])
    other = Lookahead(scenario, "agent", options, rounded=True)
    assert other.choose(away, standing(scenario, away), even)[0, 1].tolist() == [0.0, -1.0]
