r"""Planar pursuit and evasion with turning vehicles (Isaacs' homicidal chauffeur, made smooth).

Pursuer and evader have state `(px, py, heading)` and constant speeds 1 and 0.6; each chooses its
turn rate, T = 60 stages of 0.1 s by Runge-Kutta. Zero-sum:

    J^1 = 1/2 |p_T - e_T|^2 + h sum [ 1/2 w_1^2 + 1/20 |p - e|^2 - 3/2 w_2^2 ],      J^2 = -J^1

The evader's turning costs more than the pursuer's, so that a saddle in feedback policies exists. In
open loop the same path is stationary, but no equilibrium: against the pursuer's fixed controls the
Hessian of the evader's cost in its own 60 turns has the eigenvalue -1.31, next to a largest of 0.46
(`solve` from there says `NO_MINIMUM`; from straight driving it finds nothing stationary). An
open-loop saddle exists where the evader's turning is dear enough, as at price 20 (smallest
eigenvalue 0.34; at price 15 still -0.15), or with 30 stages.
"""

import torch
from torch import Tensor

from ocngame.games.discretise import rk4
from ocngame.games.nonlinear import NonlinearGame
from ocngame.games.zoo.ready import ReadyGame

__all__ = ["pursuit_evasion"]

STEP = 0.1
SPEEDS = (1.0, 0.6)


def pursuit_evasion(horizon: int = 60, *, price: float = 3.0, dtype=torch.float64) -> ReadyGame:
    """Make the game.

    Args:
        horizon: Number T of stages.
        price: Price of the evader's turning, relative to the pursuer's.
        dtype: Floating point type of the start.

    Returns:
        The game, zero-sum, starting with both driving straight.
    """

    def field(x: Tensor, u: Tensor, _time: Tensor) -> Tensor:
        theta = x.reshape(2, 3)[:, 2]
        speed = x.new_tensor(SPEEDS)
        return torch.stack([speed * theta.cos(), speed * theta.sin(), u], dim=-1).reshape(6)

    def gap(x: Tensor) -> Tensor:
        away = x[0:2] - x[3:5]
        return (away * away).sum()

    def running(sign: float):
        def cost(x: Tensor, u: Tensor, _t: Tensor) -> Tensor:
            turning = 0.5 * u[0] ** 2 - 0.5 * price * u[1] ** 2
            return sign * STEP * (turning + 0.05 * gap(x))

        return cost

    def terminal(sign: float):
        return lambda x: 0.5 * sign * gap(x)

    game = NonlinearGame(
        dynamics=rk4(field, STEP),
        running_costs=[running(1.0), running(-1.0)],
        terminal_costs=[terminal(1.0), terminal(-1.0)],
        control_slices=[slice(0, 1), slice(1, 2)],
        state_size=6,
        horizon=horizon,
    )
    return ReadyGame(
        name="pursuit_evasion",
        game=game,
        x0=torch.tensor([0.0, 0.0, 0.0, 3.0, 2.0, 1.0], dtype=dtype),
        controls=torch.zeros(horizon, 2, dtype=dtype),
        max_iterations=40,
        information=("feedback",),
        positions=(slice(0, 2), slice(3, 5)),
    )
