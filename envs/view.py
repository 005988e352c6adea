r"""A batched world of one copy as a PettingZoo ParallelEnv, and its picture.

The picture is the plane seen from above. A pixel with centre p gets the color of a disc with centre
c and radius r with weight `clip(r - |p - c| + 1/2, 0, 1)` (lengths in pixels), which is the disc
with a smooth edge. The first axis of the plane points right, the second one up. A world of
particles shows `[-1.5, 1.5]^2`, or more where something is farther out; a game with planar
positions shows what its players have reached since the start of the episode.
"""

from copy import deepcopy
from typing import Any, cast

import numpy as np
import torch
from gymnasium.spaces import Box, Space
from pettingzoo import ParallelEnv
from torch import Tensor

from ocngame._checks import integer, one_of
from ocngame.envs.batched import GameWorld, ParticleWorld
from ocngame.envs.world import Group, Moment
from ocngame.errors import InvalidInputError

__all__ = ["WorldView"]

REACH = 1.5
GAME_RADIUS = 0.03
COLORS = ((0.85, 0.35, 0.35), (0.35, 0.55, 0.85), (0.35, 0.75, 0.45), (0.75, 0.55, 0.25))


class WorldView(ParallelEnv):
    """One copy of a batched world, with PettingZoo's face.

    Attributes:
        world: The world.
        render_mode: "rgb_array" or None.
    """

    def __init__(
        self,
        world: ParticleWorld | GameWorld,
        *,
        render_mode: str | None = None,
        pixels: int = 400,
    ):
        """Look at a world.

        Args:
            world: Of one copy, such as `batched_world("simple_tag")`; the view steps it.
            render_mode: "rgb_array" for pictures, None for none.
            pixels: Height and width of pictures.

        Raises:
            InvalidInputError: if the world has several copies, or pictures are asked of a game
                without planar positions.
        """
        integer("pixels", pixels, low=1)
        if world.batch_size != 1:
            raise InvalidInputError(
                f"world: expected one of batch_size 1, got one of {world.batch_size}"
            )
        if render_mode is not None:
            one_of("render_mode", render_mode, ["rgb_array"])
            if isinstance(world, GameWorld) and not world.positions:
                raise InvalidInputError(
                    f"render_mode: expected None for {world.name}, whose state has no positions in "
                    f"the plane, got {render_mode!r}"
                )
        self.world, self.render_mode, self._pixels = world, render_mode, pixels
        self.metadata = {
            "name": f"ocngame_{world.name}",
            "render_modes": ["rgb_array"],
            "is_parallelizable": True,
            "render_fps": 10,
        }
        self._group: dict[str, tuple[Group, int]] = {
            agent: (group, k) for group in world.groups for k, agent in enumerate(group.agents)
        }
        self.possible_agents = list(self._group)
        self.agents: list[str] = []
        # PettingZoo asks for the same object at each call, and seeds it.
        self._action_spaces = {a: deepcopy(g.action_space) for a, (g, _) in self._group.items()}
        self._observation_spaces = {
            a: Box(-np.inf, np.inf, (g.observation_size,), np.float32)
            for a, (g, _) in self._group.items()
        }
        self.state_space = Box(-np.inf, np.inf, (world.state_size,), np.float32)
        self._state = np.zeros(world.state_size, np.float32)
        self._x = world.x
        self._half = 0.0

    def observation_space(self, agent: str) -> Space:
        """Give the space of what an agent observes.

        Args:
            agent: Its name.

        Returns:
            The same object at each call.
        """
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Space:
        """Give the space of an agent's actions.

        Args:
            agent: Its name.

        Returns:
            The same object at each call.
        """
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict]]:
        """Start anew.

        Args:
            seed: Of this and all later starts; None goes on with the generator as it is.
            options: Not used.

        Returns:
            Observations and empty infos, per agent.
        """
        moment = self.world.reset(seed)
        self.agents = list(self.possible_agents)
        self._x, self._half = self.world.x, 0.0
        return self._seen(moment), {agent: {} for agent in self.agents}

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[
        dict[str, np.ndarray],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict],
    ]:
        """Make a step.

        Args:
            actions: Of all agents.

        Returns:
            Observations, rewards, terminations, truncations and infos, per agent.

        Raises:
            InvalidInputError: if the episode is over or an agent's action is missing.
        """
        if not self.agents:
            raise InvalidInputError("actions: expected a reset first, the episode is over")
        for agent in self.agents:
            if agent not in actions:
                raise InvalidInputError(f"actions: expected one of {agent!r}, got none")
        joint = {
            group.name: torch.as_tensor(np.array([[actions[a] for a in group.agents]]))
            for group in self.world.groups
        }
        before = self.world.x
        found = self.world.step(joint)
        over = bool(found.over[0])
        # After the last step the world has started anew: the picture stays at what was before it.
        self._x = before if over else self.world.x
        agents = self.agents
        out = (
            self._seen(found.last),
            self._of_agents(found.rewards, float),
            self._of_agents(found.terminated, bool),
            self._of_agents(found.truncated, bool),
            {agent: {} for agent in agents},
        )
        if over:
            self.agents = []
        return out

    def state(self) -> np.ndarray:
        """Give what is known of the whole world.

        Returns:
            Shape (S,), float32.
        """
        return self._state.copy()

    def render(self) -> np.ndarray | None:
        """Draw the world.

        Returns:
            Shape (pixels, pixels, 3), uint8; None without a render mode.
        """
        if self.render_mode is None:
            return None
        centers, radii, colors = self._discs()
        self._half = max(self._half, self._span(centers))
        scale = self._pixels / (2 * self._half)
        axis = np.arange(self._pixels) + 0.5 - self._pixels / 2
        image = np.ones((self._pixels, self._pixels, 3))
        for (x, y), radius, color in zip(centers * scale, radii * scale, colors, strict=True):
            away = np.hypot(axis[None, :] - x, -axis[:, None] - y)
            weight = np.clip(max(radius, 1.5) - away + 0.5, 0, 1)[..., None]
            image += weight * (np.asarray(color) - image)
        return (255 * image).round().astype(np.uint8)

    def close(self) -> None:
        """Free the world."""
        self.world.close()

    def _discs(self) -> tuple[np.ndarray, np.ndarray, list[tuple[float, ...]]]:
        world = self.world
        if isinstance(world, GameWorld):
            x = self._x[0].double().cpu().numpy()
            centers = np.array([x[block] for block in world.positions])
            radii = np.full(len(centers), GAME_RADIUS * max(self._half, self._span(centers)))
            return centers, radii, [COLORS[k % len(COLORS)] for k in range(len(centers))]
        scenario, at = world.scenario, world.scenario.layout
        x = self._x[:, 0].double().cpu().numpy()
        bodies = [*scenario.agents, *scenario.landmarks]
        centers = np.stack([x[at.px], x[at.py]], 1)
        # Landmarks first, so that agents are seen on them.
        order = [*range(at.agents, at.entities), *range(at.agents)]
        return (
            centers[order],
            np.array([bodies[i].size for i in order]),
            [bodies[i].color for i in order],
        )

    def _span(self, centers: np.ndarray) -> float:
        least = REACH if isinstance(self.world, ParticleWorld) else 1.0
        return max(least, 1.1 * float(np.abs(centers).max()))

    def _seen(self, moment: Moment) -> dict[str, np.ndarray]:
        self._state = moment.state[0].float().cpu().numpy().copy()
        return {
            agent: moment.observations[group.name][0, k].float().cpu().numpy().copy()
            for agent, (group, k) in self._group.items()
        }

    def _of_agents(self, values: Any, kind: type) -> dict[str, Any]:
        return {
            agent: kind(cast("Tensor", values[group.name])[0, k])
            for agent, (group, k) in self._group.items()
        }
