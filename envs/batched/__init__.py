"""Worlds of our own: batched in torch, differentiable, on CPU or GPU."""

from collections.abc import Mapping
from dataclasses import fields

import torch

from ocngame._checks import one_of
from ocngame.envs.batched.particle_world import ParticleWorld, physics_of
from ocngame.envs.batched.physics import Physics
from ocngame.envs.batched.scenario import Scenario
from ocngame.envs.batched.shapes import Exact, Shapes, Smooth
from ocngame.envs.batched.simple_adversary import SimpleAdversary
from ocngame.envs.batched.simple_push import SimplePush
from ocngame.envs.batched.simple_spread import SimpleSpread
from ocngame.envs.batched.simple_tag import SimpleTag
from ocngame.envs.world import World
from ocngame.errors import UnknownNameError

__all__ = [
    "SCENARIOS",
    "Exact",
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
    "physics_of",
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
    return tuple(sorted(SCENARIOS))


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
        options: Of the world, as its scenario's class documents them.

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
