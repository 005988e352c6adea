"""Small images: means of blocks against a slow oracle, and what is no image stays as it is."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from pettingzoo import ParallelEnv

from ocngame.envs import make
from ocngame.envs.adapters.images import image_box, shrink, shrunk_shape
from ocngame.errors import InvalidInputError


class Picture(ParallelEnv):
    """One agent that sees noise, and a state that is a larger image."""

    def __init__(self) -> None:
        self.metadata = {"name": "picture"}
        self.possible_agents = ["a_0"]
        self.render_mode = None
        self._random = np.random.default_rng()

    def observation_space(self, agent):
        return spaces.Box(0, 255, (7, 10, 3), np.uint8)

    def action_space(self, agent):
        return spaces.Discrete(2)

    def _seen(self):
        self._last = self._random.integers(0, 256, (14, 9, 3)).astype(np.uint8)
        return {"a_0": self._last[:7].repeat(2, 1)[:, :10].copy()}

    def state(self):
        return self._last

    def reset(self, seed=None, options=None):
        if seed is not None:
            self._random = np.random.default_rng(seed)
        self.agents = self.possible_agents[:]
        return self._seen(), {"a_0": {}}

    def step(self, actions):
        return self._seen(), {"a_0": 1.0}, {"a_0": False}, {"a_0": False}, {"a_0": {}}


def slow(image: np.ndarray, side: int) -> np.ndarray:
    height, width, colours = image.shape
    f, g = -(-height // side), -(-width // side)
    rows = [
        [image[i : i + f, j : j + g].reshape(-1, colours).mean(0) for j in range(0, width, g)]
        for i in range(0, height, f)
    ]
    return np.array(rows) / 255


@pytest.mark.parametrize("shape", [(7, 10, 3), (8, 8, 1), (3, 50, 4), (5, 5, 3)])
@pytest.mark.parametrize("side", [1, 3, 5, 64])
def test_blocks_are_averaged(shape: tuple[int, ...], side: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    found = shrink(image, side)
    np.testing.assert_allclose(found, slow(image, side), atol=1e-6)
    assert found.shape == shrunk_shape(shape, side)
    assert max(found.shape[:2]) <= side


def test_only_bytes_with_colours_are_images() -> None:
    assert image_box(spaces.Box(0, 255, (9, 9, 3), np.uint8))
    assert not image_box(spaces.Box(0, 1, (9, 9, 3), np.float32))
    assert not image_box(spaces.Box(0, 1, (6, 7, 2), np.uint8))
    assert not image_box(spaces.Box(0, 255, (9, 3), np.uint8))


def test_a_world_gives_small_images() -> None:
    world = make(Picture, batch_size=2, seed=3, image_side=4)
    full = make(Picture, batch_size=2, seed=3)
    (group,) = world.groups
    assert group.observation_size == 4 * 4 * 3
    assert world.state_size == 4 * 3 * 3
    small, large = world.reset(3), full.reset(3)
    for b in range(2):
        image = large.observations["a"][b, 0].reshape(7, 10, 3).numpy()
        own = small.observations["a"][b, 0].reshape(4, 4, 3).numpy()
        np.testing.assert_allclose(own, slow(image, 4), atol=1e-6)
        state = large.state[b].reshape(14, 9, 3).numpy()
        np.testing.assert_allclose(
            small.state[b].reshape(4, 3, 3).numpy(), slow(state, 4), atol=1e-6
        )
    step = world.step({"a": torch.zeros(2, 1, dtype=torch.long)})
    assert float(step.next.observations["a"].max()) <= 1.0


def test_what_is_no_side() -> None:
    with pytest.raises(InvalidInputError, match="image_side: expected an integer"):
        make(Picture, image_side=0)
    with pytest.raises(InvalidInputError, match="image_side: expected none"):
        make("batched/simple_tag", image_side=3)
