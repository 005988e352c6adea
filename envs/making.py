"""Worlds by name."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ocngame.envs.adapters.adapted import AdaptedWorld
from ocngame.envs.adapters.names import factory_of
from ocngame.envs.world import World

__all__ = ["make"]


def make(
    name: str | Callable[..., Any],
    *,
    batch_size: int = 1,
    seed: int | None = None,
    workers: int = 0,
    teams: Mapping[str, Sequence[str]] | None = None,
    horizon: int | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> World:
    """Make a batch of copies of a world.

    Args:
        name: `mpe2.simple_spread_v3` (a module with `parallel_env` or `env`), an id of PettingZoo's
            registry (`classic/connect_four_v3`), `package.module:attribute`, `openspiel/kuhn_poker`;
            or a function that gives a ParallelEnv or an AECEnv.
        batch_size: Copies.
        seed: Of all starts, until `reset` gets another; None for one from the operating system.
        workers: Processes that the copies are spread over; 0 for this process.
        teams: From a team to its agents; None for teams by the agents' names.
        horizon: Steps after which an episode is truncated; None for the world's own.
        device: Where tensors are given.
        dtype: Of observations, rewards and state.
        **options: Of the world itself.

    Returns:
        The world; `reset` comes first. An unknown name raises UnknownNameError with near matches.
    """
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
        device=device,
        dtype=dtype,
    )
