r"""Three unicycles meet at an intersection (in the style of Fridovich-Keil et al., 2020).

Vehicle i has state `(px, py, heading, speed)` and controls `(turn rate, acceleration)`,

    px' = v cos(theta),   py' = v sin(theta),   theta' = w,   v' = a,

discretised by Runge-Kutta, T = 100 stages of 0.1 s. Each wants to stay on its lane, to keep its
speed and not to meet the others; per stage

    l^i = 1/2 [ lane^2 + (v - v_ref)^2 + 4 w^2 + a^2 ] + 10 sum_j max(0, 1 - d_ij^2 / 3^2)^3

with lane the distance to the lane's centre line and d_ij in metres.
"""

import math

import torch
from torch import Tensor

from ocngame.games.discretise import rk4
from ocngame.games.nonlinear import NonlinearGame
from ocngame.games.zoo.ready import ReadyGame

__all__ = ["intersection"]

STEP = 0.1
LANES = ((1, -1.0, 0.0), (0, 1.0, 0.5 * math.pi), (1, 1.0, math.pi))
SPEEDS = (2.0, 1.8, 2.2)
STARTS = ((-7.0, -1.0), (1.0, -7.5), (8.0, 1.0))


def intersection(
    horizon: int = 100, *, radius: float = 3.0, weight: float = 10.0, dtype=torch.float64
) -> ReadyGame:
    """Make the game.

    Args:
        horizon: Number T of stages.
        radius: Distance in metres below which vehicles disturb each other.
        weight: Weight of that.
        dtype: Floating point type of the start.

    Returns:
        The game, starting with straight driving.
    """

    def field(x: Tensor, u: Tensor, _time: Tensor) -> Tensor:
        _, _, theta, v = x.reshape(3, 4).unbind(-1)
        w, a = u.reshape(3, 2).unbind(-1)
        return torch.stack([v * theta.cos(), v * theta.sin(), w, a], dim=-1).reshape(12)

    def state_cost(i: int, x: Tensor) -> Tensor:
        axis, centre, _ = LANES[i]
        cars = x.reshape(3, 4)
        gaps = cars[:, :2] - cars[i, :2]
        near = 1 - (gaps * gaps).sum(-1) / radius**2
        others = torch.cat([near[:i], near[i + 1 :]])
        lane, speed = cars[i, axis] - centre, cars[i, 3] - SPEEDS[i]
        return 0.5 * (lane**2 + speed**2) + weight * others.clamp_min(0).pow(3).sum()

    def running(i: int):
        def cost(x: Tensor, u: Tensor, _t: Tensor) -> Tensor:
            return state_cost(i, x) + 2.0 * u[2 * i] ** 2 + 0.5 * u[2 * i + 1] ** 2

        return cost

    game = NonlinearGame(
        dynamics=rk4(field, STEP),
        running_costs=[running(i) for i in range(3)],
        terminal_costs=[lambda x, i=i: state_cost(i, x) for i in range(3)],
        control_slices=[slice(2 * i, 2 * i + 2) for i in range(3)],
        state_size=12,
        horizon=horizon,
    )
    start = [[*STARTS[i], LANES[i][2], SPEEDS[i]] for i in range(3)]
    return ReadyGame(
        name="intersection",
        game=game,
        x0=torch.tensor(start, dtype=dtype).reshape(12),
        controls=torch.zeros(horizon, 6, dtype=dtype),
        max_iterations=40,
        positions=tuple(slice(4 * i, 4 * i + 2) for i in range(3)),
    )
