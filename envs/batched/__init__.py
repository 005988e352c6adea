"""Worlds of our own: batched in torch, differentiable, on CPU or GPU."""

from collections.abc import Mapping
from dataclasses import fields
from inspect import signature
from typing import Any

import torch

from ocngame._checks import one_of
from ocngame.envs.batched.game_world import GameWorld
from ocngame.envs.batched.particle_world import ParticleWorld, physics_of
from ocngame.envs.batched.physics import Physics
from ocngame.envs.batched.ready_games import GAMES, lq_pursuit, ready_world
from ocngame.envs.batched.scenario import Scenario
from ocngame.envs.batched.shapes import Exact, Shapes, Smooth
from ocngame.envs.batched.simple_adversary import SimpleAdversary
from ocngame.envs.batched.simple_push import SimplePush
from ocngame.envs.batched.simple_spread import SimpleSpread
from ocngame.envs.batched.simple_tag import SimpleTag
from ocngame.envs.world import World
from ocngame.errors import UnknownNameError
from ocngame.games.zoo import READY

__all__ = [
    "GAMES",
    "SCENARIOS",
    "Exact",
    "GameWorld",
    "ParticleWorld",
    "Physics",
    "Scenario",
    "Shapes",
    "SimpleAdversary",
    "SimplePush",
    "SimpleSpread",
    "SimpleTag",
    "Smooth",
    "batched_names",
    "batched_world",
    "lq_pursuit",
    "physics_of",
    "ready_world",
]

SCENARIOS: Mapping[str, type[Scenario]] = {
    "simple_adversary": SimpleAdversary,
    "simple_push": SimplePush,
    "simple_spread": SimpleSpread,
    "simple_tag": SimpleTag,
}
"""Worlds of particles by name."""


def batched_names() -> tuple[str, ...]:
    """Name the worlds that `batched_world` makes.

    Returns:
        The names, sorted.
    """
    return tuple(sorted([*SCENARIOS, *GAMES]))


def batched_world(
    name: str,
    *,
    batch_size: int = 1,
    seed: int | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    continuous_actions: bool = False,
    **options: object,
) -> World:
    """Make a batch of copies of a world by its name.

    Args:
        name: One of `batched_names()`.
        batch_size: Number of copies.
        seed: Of all starts; drawn if None.
        device: Where its tensors are.
        dtype: Of its numbers.
        continuous_actions: Whether actions are a Box; some worlds have no others.
        options: Of the world, as its scenario's class documents them, or of a ready game's maker,
            besides `spread` and `bound` of its starts and controls.

    Returns:
        The world, at a start.

    Raises:
        UnknownNameError: if there is no such world or option, with near matches.

    Examples:
        >>> world = batched_world("simple_spread", batch_size=4, seed=0, N=2)
        >>> world.reset().observations["agent"].shape
        torch.Size([4, 2, 12])
    """
    one_of("name", name, batched_names())
    if name in GAMES:
        return _game(name, batch_size, seed, device, dtype, options)
    scenario = SCENARIOS[name]
    known = [field.name for field in fields(scenario)]  # pyright: ignore[reportArgumentType]
    for option in options:
        if option not in known:
            raise UnknownNameError("options", option, known)
    return ParticleWorld(
        scenario(**options),
        batch_size=batch_size,
        seed=seed,
        device=device,
        dtype=dtype,
        continuous_actions=continuous_actions,
    )


def _game(
    name: str,
    batch_size: int,
    seed: int | None,
    device: torch.device | str,
    dtype: torch.dtype,
    options: Mapping[str, Any],
) -> World:
    maker = lq_pursuit if name == "lq_pursuit" else READY[name]
    known = [*signature(maker).parameters, "spread", "bound"]
    known.remove("dtype")
    for option in options:
        if option not in known:
            raise UnknownNameError("options", option, known)
    return ready_world(
        name, batch_size=batch_size, seed=seed, device=device, dtype=dtype, **options
    )
