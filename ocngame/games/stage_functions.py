"""A game's functions as vector functions of z = (x, u), and how each is differentiated."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ocngame.games.derivatives import Derivatives, derivatives, plan

if TYPE_CHECKING:
    from ocngame.games.nonlinear import NonlinearGame

__all__ = ["along_stages", "at_the_end", "evaluated", "reached", "stage_function"]

AT_END = ("terminal", "last")


def stage_function(game: "NonlinearGame", name: str) -> Callable[..., Tensor] | None:
    """Give one of a game's functions.

    Args:
        game: The game.
        name: "dynamics", "running" (every player's cost) or "along" (running constraints), of z
            (n+m,) and the stage; "terminal" (every player's cost) or "last" (terminal constraints),
            of x (n,).

    Returns:
        The function, or None if there are no such constraints.
    """
    n = game.state_size
    along = [c.function for c in game.constraints if not c.terminal]
    last = [c.function for c in game.constraints if c.terminal]

    def dynamics(z: Tensor, t: Tensor) -> Tensor:
        return game.dynamics(z[:n], z[n:], t)

    def running(z: Tensor, t: Tensor) -> Tensor:
        return torch.stack([cost(z[:n], z[n:], t) for cost in game.running_costs])

    def terminal(x: Tensor) -> Tensor:
        return torch.stack([cost(x) for cost in game.terminal_costs])

    def constraints_along(z: Tensor, t: Tensor) -> Tensor:
        return torch.cat([h(z[:n], z[n:], t) for h in along])

    def constraints_last(x: Tensor) -> Tensor:
        return torch.cat([h(x) for h in last])

    return {
        "dynamics": dynamics,
        "running": running,
        "terminal": terminal,
        "along": constraints_along if along else None,
        "last": constraints_last if last else None,
    }[name]


def along_stages(
    game: "NonlinearGame", name: str, z: Tensor, *, second: bool = True
) -> Derivatives | None:
    """Differentiate a function of stages along trajectories.

    Args:
        game: The game.
        name: "dynamics", "running" or "along".
        z: States and controls, shape (B, T, n+m).
        second: Whether Hessians are wanted.

    Returns:
        The derivatives with B T points in front; None if the game has no such function.
    """
    stages = torch.arange(z.shape[1], device=z.device).repeat(len(z))
    return _differentiated(game, name, z.reshape(-1, z.shape[-1]), stages, second=second)


def at_the_end(game: "NonlinearGame", name: str, x: Tensor) -> Derivatives | None:
    """Differentiate a function of last states.

    Args:
        game: The game.
        name: "terminal" or "last".
        x: States, shape (B, n).

    Returns:
        The derivatives; None if the game has no such function.
    """
    return _differentiated(game, name, x, second=True)


def _differentiated(
    game: "NonlinearGame", name: str, points: Tensor, *rest: Tensor, second: bool
) -> Derivatives | None:
    function = stage_function(game, name)
    if function is None:
        return None
    key = (name, points.dtype, points.device)
    if key not in game.plans:
        first = [part[0] for part in rest]
        game.plans[key] = plan(function, torch.zeros_like(points[0]), *first)
    n = game.state_size
    if name == "terminal":
        function = game.terminal_costs
    if name == "running":
        function = [lambda z, t, c=c: c(z[:n], z[n:], t) for c in game.running_costs]
    return derivatives(function, game.plans[key], points, *rest, second=second)


def reached(game: "NonlinearGame", xs: Tensor, us: Tensor) -> Tensor:
    """Give the states to which all stages of trajectories lead, at once.

    Args:
        game: The game.
        xs: States of the stages 0 .. T-1, shape (B, T, n).
        us: Controls, shape (B, T, m).

    Returns:
        The next states, shape (B, T, n).
    """
    stages = torch.arange(us.shape[1], device=us.device).repeat(len(us))
    found = torch.vmap(game.dynamics)(xs.flatten(0, 1), us.flatten(0, 1), stages)
    return found.unflatten(0, us.shape[:2])


def evaluated(game: "NonlinearGame", name: str, z: Tensor) -> Tensor | None:
    """Evaluate a function along trajectories, or at last states.

    Args:
        game: The game.
        name: As in `stage_function`.
        z: Shape (B, T, n+m), or (B, n) at the end.

    Returns:
        The values, shape (B, T, k) or (B, k); None if the game has no such function.
    """
    function = stage_function(game, name)
    if function is None:
        return None
    if name in AT_END:
        return torch.vmap(function)(z)
    stages = torch.arange(z.shape[1], device=z.device).repeat(len(z))
    return torch.vmap(function)(z.reshape(-1, z.shape[-1]), stages).unflatten(0, z.shape[:2])
