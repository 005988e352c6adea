"""Batched worlds with PettingZoo's face, by PettingZoo's own tests."""

import warnings

import numpy as np
import pytest
from pettingzoo.utils import parallel_to_aec

from ocngame.envs import batched_world
from ocngame.envs.view import WorldView
from ocngame.errors import InvalidInputError

pytest.importorskip("pygame")

with warnings.catch_warnings():
    # The package's tests import one of its games in a way that it deprecates itself.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pettingzoo.test import parallel_api_test, parallel_seed_test, render_test

NAMES = ["simple_spread", "simple_tag", "simple_adversary", "simple_push", "lq_pursuit"]


def view(name: str, render_mode: str | None = None, **options) -> WorldView:
    return WorldView(batched_world(name, seed=0, **options), render_mode=render_mode, pixels=96)


@pytest.mark.parametrize("name", NAMES)
def test_it_passes_the_tests_of_the_interface(name: str):
    parallel_api_test(view(name), num_cycles=26)
    parallel_seed_test(lambda: view(name))


@pytest.mark.parametrize("name", ["simple_tag", "lq_pursuit"])
def test_it_passes_the_tests_of_pictures(name: str):
    # The package asks for mode "human" first, to read off which modes there are.
    modes = {"human": None, "rgb_array": "rgb_array"}
    render_test(lambda render_mode: parallel_to_aec(view(name, modes[render_mode])))


def test_a_disc_is_where_its_body_is():
    env = view("simple_push", "rgb_array")
    env.reset(seed=1)
    env.world.x.zero_()
    at = env.world.scenario.layout
    env.world.x[at.px][0], env.world.x[at.py][0] = 0.75, 0.375
    image = env.render()
    assert image is not None
    # Columns go right from -1.5, rows down from 1.5: 32 pixels a unit.
    color = 255 * np.array(env.world.scenario.agents[0].color)
    np.testing.assert_allclose(image[48 - 12, 48 + 24], color, atol=1)
    assert (image[48 + 12, 48 + 24] == 255).all()
    assert (image[48 - 24, 48 + 12] == 255).all()


def test_whole_episodes_repeat_and_end_once():
    runs = []
    for _ in range(2):
        env, rows = view("simple_tag", max_cycles=7), []
        env.reset(seed=3)
        for t in range(7):
            observations, rewards, _, cut, _ = env.step(
                {a: (t + k) % 5 for k, a in enumerate(env.agents)}
            )
            rows.append([*observations["agent_0"], *rewards.values(), cut["agent_0"]])
        assert not env.agents
        with pytest.raises(InvalidInputError, match="over"):
            env.step({})
        runs.append(rows)
    assert runs[0] == runs[1]
    assert [row[-1] for row in runs[0]] == [False] * 6 + [True]


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(InvalidInputError, match="batch_size 1"):
        WorldView(batched_world("simple_tag", batch_size=2))  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidInputError, match="no positions"):
        view("duopoly", "rgb_array")
    env = view("simple_tag")
    env.reset(seed=0)
    assert env.render() is None
    with pytest.raises(InvalidInputError, match="agent_0"):
        env.step({"adversary_0": 0, "adversary_1": 0, "adversary_2": 0})
