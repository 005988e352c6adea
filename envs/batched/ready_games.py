"""The solver's ready games as worlds, and a linear-quadratic one."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ocngame.envs.batched.game_world import GameWorld
from ocngame.games import LQGame
from ocngame.games.zoo import READY

__all__ = ["GAMES", "lq_pursuit", "ready_world"]

BOUNDS: Mapping[str, float] = {"duopoly": 5.0, "intersection": 3.0, "pursuit_evasion": 3.0}
"""Greatest controls, where they are not 3."""


def lq_pursuit(
    horizon: int = 40, *, price: float = 4.0, dtype: torch.dtype = torch.float64
) -> tuple[LQGame, Tensor]:
    r"""Make a linear-quadratic chase: positions move by the players' controls.

        d_{t+1} = d_t + h (u^1_t - u^2_t),                                        h = 0.1
        J^1 = sum h/2 [ |d_t|^2 + |u^1_t|^2 - g |u^2_t|^2 ] + 1/2 |d_T|^2,        J^2 = -J^1

    Args:
        horizon: Number T of stages.
        price: g; the saddle exists for every g > 1.
        dtype: Of the numbers.

    Returns:
        The game and its start.
    """
    step, eye = 0.1, torch.eye(2, dtype=dtype)
    zero = torch.zeros_like(eye)
    effort = torch.cat([torch.cat([eye, zero], 1), torch.cat([zero, -price * eye], 1)])
    states = torch.cat([step * eye.expand(horizon, 2, 2), eye.unsqueeze(0)])
    efforts = step * effort.expand(horizon, 4, 4)
    game = LQGame(
        A=eye.expand(horizon, 2, 2),
        B=step * torch.cat([eye, -eye], 1).expand(horizon, 2, 4),
        Q=torch.stack([states, -states]),
        R=torch.stack([efforts, -efforts]),
        control_slices=[slice(0, 2), slice(2, 4)],
    )
    return game, torch.tensor([2.0, 1.0], dtype=dtype)


def ready_world(
    name: str,
    *,
    batch_size: int,
    seed: int | None,
    device: torch.device | str,
    dtype: torch.dtype,
    spread: float = 0.1,
    bound: float | None = None,
    **options: object,
) -> GameWorld:
    """Make a ready game's world.

    Args:
        name: One of `GAMES`.
        batch_size: Number of copies.
        seed: Of the starts.
        device: Where its tensors are.
        dtype: Of its numbers.
        spread: Standard deviation of the starts.
        bound: Greatest control; the game's own if None.
        options: Of the game's maker.

    Returns:
        The world.
    """
    with torch.device(device):
        game, x0, positions = GAMES[name](dtype=dtype, **options)
    return GameWorld(
        game,
        x0,
        name=name,
        bound=BOUNDS.get(name, 3.0) if bound is None else bound,
        spread=spread,
        batch_size=batch_size,
        seed=seed,
        positions=positions,
    )


def _ready(name: str) -> Callable:
    def make(**options):
        ready = READY[name](**options)
        return ready.game, ready.x0, ready.positions

    return make


def _lq(**options):
    return *lq_pursuit(**options), (slice(0, 2),)


GAMES: Mapping[str, Callable] = {
    "lq_pursuit": _lq,
    **{name: _ready(name) for name in READY if name != "lane_merge"},
}
"""Makers of a game, its start and where its positions are, by name.

lane_merge has constraints on the state, which a world cannot keep for its players.
"""
