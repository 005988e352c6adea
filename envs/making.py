"""Worlds by name."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ocngame.envs.adapters.adapted import AdaptedWorld
from ocngame.envs.adapters.names import factory_of, known_names
from ocngame.envs.batched import batched_names, batched_world
from ocngame.envs.world import World
from ocngame.errors import InvalidInputError, UnknownNameError

__all__ = ["make"]

_BATCHED = "batched/"


def make(
    name: str | Callable[..., Any],
    *,
    batch_size: int = 1,
    seed: int | None = None,
    workers: int = 0,
    teams: Mapping[str, Sequence[str]] | None = None,
    horizon: int | None = None,
    image_side: int | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> World:
    """Make a batch of copies of a world.

    Args:
        name: `mpe2.simple_spread_v3` (a module with `parallel_env` or `env`), an id of
            PettingZoo's registry (`classic/connect_four_v3`), `package.module:attribute`,
            `openspiel/kuhn_poker`, `batched/simple_spread` for one of our own; or a function that
            gives a ParallelEnv or an AECEnv.
        batch_size: Copies.
        seed: Of all starts, until `reset` gets another; None for one from the operating system.
        workers: Processes that the copies are spread over; 0 for this process.
        teams: From a team to its agents; None for teams by the agents' names.
        horizon: Steps after which an episode is truncated; None for the world's own.
        image_side: Largest side of images in observations and state, which are made smaller by
            means of blocks and brought to [0, 1]; None for images as they are.
        device: Where tensors are given.
        dtype: Of observations, rewards and state.
        **options: Of the world itself.

    Returns:
        The world; `reset` comes first.

    Raises:
        UnknownNameError: if there is no world of that name, with near matches.
        InvalidInputError: if an argument is not for that world.

    Examples:
        >>> world = make("batched/simple_tag", batch_size=2, seed=0)
        >>> [group.name for group in world.groups]
        ['adversary', 'agent']
    """
    if isinstance(name, str) and name.startswith(_BATCHED):
        given = {
            "workers": workers or None,
            "teams": teams,
            "horizon": horizon,
            "image_side": image_side,
        }
        for argument, value in given.items():
            if value is not None:
                raise InvalidInputError(
                    f"{argument}: expected none for a world of our own, got {value}"
                )
        inside = name.removeprefix(_BATCHED)
        if inside not in batched_names():
            raise UnknownNameError("name", name, known_names())
        return batched_world(
            inside, batch_size=batch_size, seed=seed, device=device, dtype=dtype, **options
        )
    if callable(name):
        title = getattr(name, "__name__", type(name).__name__)
        # With options a name is needed only for messages.
        factory: Callable[[], Any] = (lambda: name(**options)) if options else name
    else:
        title = name
        factory = factory_of(name, options)
    return AdaptedWorld(
        factory,
        name=title,
        batch_size=batch_size,
        seed=seed,
        workers=workers,
        teams=teams,
        horizon=horizon,
        image_side=image_side,
        device=device,
        dtype=dtype,
    )
