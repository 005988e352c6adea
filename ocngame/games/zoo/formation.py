r"""Ten vehicles form a circle around a goal, each with its own cost.

Vehicle i is a double integrator with drag on the plane, state `(p, v)`, control a, T = 30 stages of
0.2 s:

    p+ = p + h v,      v+ = v + h (a - 0.1 |v|_2 v),      |v|_2 = sqrt(|v|^2 + 0.01)

Its neighbours on the ring are i - 1 and i + 1, r_i its place on a circle of radius 3:

    l^i = h/2 [ 1/2 |p_i - r_i|^2 + sum_j |(p_i - p_j) - (r_i - r_j)|^2 + |v_i|^2 / 10 + |a|^2 ]
"""

import math

import torch
from torch import Tensor

from ocngame._checks import integer
from ocngame.games.nonlinear import NonlinearGame
from ocngame.games.zoo.ready import ReadyGame

__all__ = ["formation"]

STEP = 0.2


def formation(vehicles: int = 10, horizon: int = 30, *, dtype=torch.float64) -> ReadyGame:
    """Make the game.

    Args:
        vehicles: Number N of vehicles, at least three.
        horizon: Number T of stages.
        dtype: Floating point type of the start.

    Returns:
        The game, starting from rest on a line.
    """
    integer("vehicles", vehicles, low=3)
    N = vehicles
    angles = [2 * math.pi * i / N for i in range(N)]
    places = [[3 * math.cos(a), 3 * math.sin(a)] for a in angles]

    def dynamics(x: Tensor, u: Tensor, _t: Tensor) -> Tensor:
        p, v = x.reshape(N, 4)[:, :2], x.reshape(N, 4)[:, 2:]
        speed = ((v * v).sum(-1, keepdim=True) + 0.01).sqrt()
        rate = u.reshape(N, 2) - 0.1 * speed * v
        return torch.cat([p + STEP * v, v + STEP * rate], dim=-1).reshape(4 * N)

    def state_cost(i: int, x: Tensor) -> Tensor:
        cars, ring = x.reshape(N, 4), x.new_tensor(places)
        error = cars[:, :2] - ring
        own = error[i]
        left, right = own - error[i - 1], own - error[(i + 1) % N]
        speed = cars[i, 2:]
        parts = 0.5 * own @ own + left @ left + right @ right + 0.1 * speed @ speed
        return 0.5 * STEP * parts

    def running(i: int):
        def cost(x: Tensor, u: Tensor, _t: Tensor) -> Tensor:
            own = u[2 * i : 2 * i + 2]
            return state_cost(i, x) + 0.5 * STEP * own @ own

        return cost

    game = NonlinearGame(
        dynamics=dynamics,
        running_costs=[running(i) for i in range(N)],
        terminal_costs=[lambda x, i=i: 10 * state_cost(i, x) for i in range(N)],
        control_slices=[slice(2 * i, 2 * i + 2) for i in range(N)],
        state_size=4 * N,
        horizon=horizon,
    )
    start = [[i - 0.5 * (N - 1), -4.0, 0.0, 0.0] for i in range(N)]
    return ReadyGame(
        name="formation",
        game=game,
        x0=torch.tensor(start, dtype=dtype).reshape(4 * N),
        controls=torch.zeros(horizon, 2 * N, dtype=dtype),
        max_iterations=30,
        positions=tuple(slice(4 * i, 4 * i + 2) for i in range(N)),
    )
