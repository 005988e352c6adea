r"""A pendulum held upright against a disturbance: robust control as a zero-sum game.

    theta'' = sin(theta) - 0.1 theta' + u + w         (upright at 0, units of gravity and length 1)

T = 50 stages of 0.1 s by Runge-Kutta. The controller u minimises and the disturbance w maximises

    h sum 1/2 [ theta^2 + 0.1 theta'^2 + 0.1 u^2 - g^2 w^2 ] + 1/2 [ 5 theta_T^2 + theta_T'^2 ]

(nonlinear H-infinity control, as in van der Schaft, 1992); g = 1 is above the feedback threshold.
"""

import torch
from torch import Tensor

from ocngame.games.discretise import rk4
from ocngame.games.nonlinear import NonlinearGame
from ocngame.games.zoo.ready import ReadyGame

__all__ = ["pendulum"]

STEP = 0.1


def pendulum(horizon: int = 50, *, attenuation: float = 1.0, dtype=torch.float64) -> ReadyGame:
    """Make the game.

    Args:
        horizon: Number T of stages.
        attenuation: g, the price of the disturbance.
        dtype: Floating point type of the start.

    Returns:
        The game, zero-sum, starting from no torque.
    """

    def field(x: Tensor, u: Tensor, _time: Tensor) -> Tensor:
        return torch.stack([x[1], x[0].sin() - 0.1 * x[1] + u.sum()])

    def running(sign: float):
        def cost(x: Tensor, u: Tensor, _t: Tensor) -> Tensor:
            state = x[0] ** 2 + 0.1 * x[1] ** 2
            return 0.5 * sign * STEP * (state + 0.1 * u[0] ** 2 - attenuation**2 * u[1] ** 2)

        return cost

    def terminal(sign: float):
        return lambda x: 0.5 * sign * (5 * x[0] ** 2 + x[1] ** 2)

    game = NonlinearGame(
        dynamics=rk4(field, STEP),
        running_costs=[running(1.0), running(-1.0)],
        terminal_costs=[terminal(1.0), terminal(-1.0)],
        control_slices=[slice(0, 1), slice(1, 2)],
        state_size=2,
        horizon=horizon,
    )
    return ReadyGame(
        name="pendulum",
        game=game,
        x0=torch.tensor([1.0, 0.0], dtype=dtype),
        controls=torch.zeros(horizon, 2, dtype=dtype),
        max_iterations=40,
        information=("feedback",),
    )
