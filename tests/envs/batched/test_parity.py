"""Whole random episodes next to package `mpe2`, from its own starts, in float64."""

from importlib import import_module

import numpy as np
import pytest
import torch

from ocngame.envs import batched_world
from ocngame.envs.batched import ParticleWorld

pytest.importorskip("mpe2")

CASES = [
    ("simple_spread", 3, {}),
    ("simple_spread", 3, {"N": 5, "local_ratio": 0.2, "max_cycles": 40}),
    ("simple_spread", 3, {"N": 1}),
    ("simple_spread", 3, {"N": 4, "curriculum": True}),
    ("simple_spread", 3, {"N": 1, "terminate_on_success": True, "max_cycles": 400}),
    ("simple_tag", 3, {"max_cycles": 60}),
    ("simple_tag", 3, {"num_good": 2, "num_adversaries": 4, "num_obstacles": 3}),
    ("simple_tag", 3, {"num_obstacles": 0, "curriculum": True, "terminate_on_success": True}),
    ("simple_adversary", 3, {}),
    ("simple_adversary", 3, {"N": 4}),
    ("simple_push", 3, {"max_cycles": 50}),
]


def original(name: str, version: int, options: dict, continuous: bool):
    module = import_module(f"mpe2.{name}_v{version}")
    return module.parallel_env(continuous_actions=continuous, **options)


def column(world: ParticleWorld, env) -> torch.Tensor:
    """The state of mpe2's world as a column of ours."""
    inner = env.unwrapped.world
    px, py = np.array([e.state.p_pos for e in inner.entities]).T
    vx, vy = np.array([a.state.p_vel for a in inner.agents]).T
    own = [px, py, vx, vy, added_rows(world, env)]
    return torch.tensor(np.concatenate(own)).unsqueeze(1)


def added_rows(world: ParticleWorld, env) -> np.ndarray:
    inner, scenario = env.unwrapped.world, env.unwrapped.scenario
    if world.name in ("simple_adversary", "simple_push"):
        goal = inner.agents[0].goal_a
        rows = list(goal.state.p_pos)
        if world.name == "simple_push":
            rows += [float(goal.index == 0), float(goal.index == 1)]
        return np.array(rows)
    if not getattr(scenario, "curriculum", False):
        return np.zeros(0)
    stage = scenario.CURRICULUM_STAGES[scenario.curriculum_stage]
    return np.array([float(next(iter(stage.values())))])


def exact_observation(env, agent: str) -> np.ndarray:
    """In float64: `observe` of the package rounds to float32."""
    raw = env.unwrapped
    return raw.scenario.observation(raw.world.agents[raw._index_map[agent]], raw.world)


def drawn(rng: np.random.Generator, env, continuous: bool):
    if continuous:
        return {a: rng.random(5) for a in env.agents}
    # Bursts of equal actions, so that agents meet and reach their greatest speeds.
    return {a: int(rng.integers(5)) for a in env.agents}


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize(("name", "version", "options"), CASES)
def test_whole_episodes_agree(name: str, version: int, options: dict, continuous: bool):
    env = original(name, version, options, continuous)
    world = batched_world(
        name, dtype=torch.float64, continuous_actions=continuous, seed=0, **options
    )
    assert isinstance(world, ParticleWorld)
    rng = np.random.default_rng(0)
    for episode in range(4):
        stages = world.scenario.stages
        if stages > 1:
            env.unwrapped.set_curriculum_stage(episode % stages)
        env.reset(seed=episode)
        world.reset(episode)
        world.set_stage(episode % stages)
        world.x = column(world, env)
        hold = 0
        while env.agents:
            if hold == 0:
                actions, hold = drawn(rng, env, continuous), int(rng.integers(1, 6))
            hold -= 1
            ours = {
                g.name: torch.tensor(np.array([[actions[a] for a in g.agents]]))
                for g in world.groups
            }
            agents = list(env.agents)
            _, rewards, ended, cut, _ = env.step(actions)
            found = world.step(ours)
            for group in world.groups:
                for k, agent in enumerate(group.agents):
                    expected = exact_observation(env, agent)
                    got = found.last.observations[group.name][0, k].numpy()
                    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)
                    assert float(found.rewards[group.name][0, k]) == pytest.approx(
                        rewards[agent], abs=1e-6
                    )
                    assert bool(found.terminated[group.name][0, k]) == ended[agent]
                    assert bool(found.truncated[group.name][0, k]) == cut[agent]
            state = np.concatenate([exact_observation(env, a) for a in agents])
            np.testing.assert_allclose(found.last.state[0].numpy(), state, rtol=0, atol=1e-6)
            assert bool(found.over[0]) == (not env.agents)


@pytest.mark.parametrize(("name", "version", "options"), CASES)
def test_names_and_spaces_agree(name: str, version: int, options: dict):
    for continuous in (False, True):
        env = original(name, version, options, continuous)
        world = batched_world(name, continuous_actions=continuous, **options)
        assert [a for g in world.groups for a in g.agents] == env.possible_agents
        for group in world.groups:
            for agent in group.agents:
                assert env.observation_space(agent).shape == (group.observation_size,)
                assert env.action_space(agent) == group.action_space
        assert env.unwrapped.state_space.shape == (world.state_size,)
        assert world.horizon == env.unwrapped.max_cycles
