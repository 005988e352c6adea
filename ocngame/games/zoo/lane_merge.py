r"""Two cars merge into one lane under hard constraints.

Car i has state `(px, py, heading, speed)` and controls `(turn rate, acceleration)`, T = 50 stages
of 0.1 s by Runge-Kutta. The first is on the lane y = 0, the second beside it at y = 3 and wants in:

    l^i = h/2 [ py^2 + (v - v_ref)^2 + 5 w^2 + a^2 ],        terminal 1/2 [ 5 py^2 + 5 heading^2 ]

They keep 3 m apart (a constraint they share, with one multiplier), accelerations stay within 2 and
turn rates within 0.5, and the second may not cross the wall y = 3.2. Costs are not coupled, so the
variational open-loop equilibrium is also what a coalition would do.

Not solved in feedback play, where each car's gains count on the other's answer to the shared
constraint, the stiffer the larger the penalty. With a penalty of 2 or more the steps end on paths
that are stationary but have a stage without a minimum. With 1 the first rounds end in regular
points, until the violation is about 4e-3; from there on they do not. With 0.3 every round is
regular, but the multipliers creep: after 66 rounds the violation is still 3e-3 and falls by less
than two percent a round. Longer steps of the multipliers, and mixing them, do not settle.
"""

import torch
from torch import Tensor

from ocngame.games.constraints import control_bounds, keep_apart, stay_inside
from ocngame.games.discretise import rk4
from ocngame.games.nonlinear import NonlinearGame
from ocngame.games.zoo.ready import ReadyGame

__all__ = ["lane_merge"]

STEP = 0.1
SPEEDS = (5.0, 5.5)


def lane_merge(horizon: int = 50, *, distance: float = 3.0, dtype=torch.float64) -> ReadyGame:
    """Make the game.

    Args:
        horizon: Number T of stages.
        distance: Least distance of the cars in metres.
        dtype: Floating point type of the start.

    Returns:
        The game, starting with straight driving.
    """

    def field(x: Tensor, u: Tensor, _time: Tensor) -> Tensor:
        _, _, theta, v = x.reshape(2, 4).unbind(-1)
        w, a = u.reshape(2, 2).unbind(-1)
        return torch.stack([v * theta.cos(), v * theta.sin(), w, a], dim=-1).reshape(8)

    def running(i: int):
        def cost(x: Tensor, u: Tensor, _t: Tensor) -> Tensor:
            _, y, _, v = x[4 * i : 4 * i + 4]
            w, a = u[2 * i : 2 * i + 2]
            return 0.5 * STEP * (y**2 + (v - SPEEDS[i]) ** 2 + 5 * w**2 + a**2)

        return cost

    def terminal(i: int):
        return lambda x: 2.5 * (x[4 * i + 1] ** 2 + x[4 * i + 2] ** 2)

    game = NonlinearGame(
        dynamics=rk4(field, STEP),
        running_costs=[running(0), running(1)],
        terminal_costs=[terminal(0), terminal(1)],
        control_slices=[slice(0, 2), slice(2, 4)],
        state_size=8,
        horizon=horizon,
        constraints=[
            control_bounds(0, slice(0, 2), (-0.5, -2.0), (0.5, 2.0)),
            control_bounds(1, slice(2, 4), (-0.5, -2.0), (0.5, 2.0)),
            keep_apart((0, 1), slice(0, 2), slice(4, 6), distance),
            stay_inside(1, slice(4, 6), (0.0, 1.0), 3.2),
        ],
    )
    return ReadyGame(
        name="lane_merge",
        game=game,
        x0=torch.tensor([0.0, 0.0, 0.0, 5.0, 0.5, 3.0, 0.0, 5.0], dtype=dtype),
        controls=torch.zeros(horizon, 4, dtype=dtype),
        max_iterations=60,
        information=("open_loop", "cooperative"),
        positions=(slice(0, 2), slice(4, 6)),
    )
