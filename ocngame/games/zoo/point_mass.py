r"""Point-mass guidance: an interceptor and a target on the plane, with a closed form.

Both are double integrators; relative position p and velocity v obey, per stage of length h,

    p+ = p + h v + h^2/2 (u - w),      v+ = v + h (u - w)

with the interceptor's acceleration u and the target's w. The miss distance is squared at the end:

    J^1 = c/2 |p_T|^2 + h/2 sum |u|^2 - g^2 h/2 sum |w|^2,      J^2 = -J^1

Only the zero-effort miss `z_t = p_t + (T - t) h v_t` matters: `z_{t+1} = z_t + b_t (u_t - w_t)`,
`b_t = h^2 (T - t - 1/2)`, and the value is `p_t z^2 / 2` with (Ho, Bryson and Baron, 1965)

    1/p_t = 1/c + (1 - 1/g^2) sum_{s >= t} b_s^2 / h,      u_t = -b_t p_{t+1} z_{t+1} / h
"""

import torch
from torch import Tensor

from ocngame._checks import integer, positive
from ocngame.games.nonlinear import NonlinearGame
from ocngame.games.zoo.ready import ReadyGame

__all__ = ["point_mass", "point_mass_value"]


def point_mass(
    horizon: int = 40,
    *,
    step: float = 0.1,
    weight: float = 10.0,
    attenuation: float = 2.0,
    dtype=torch.float64,
) -> ReadyGame:
    """Make the game.

    Args:
        horizon: Number T of stages.
        step: Length h of a stage.
        weight: Weight c of the squared miss.
        attenuation: g; above one the saddle exists.
        dtype: Floating point type of the start.

    Returns:
        The game, zero-sum; its feedback equilibrium is the saddle point.
    """
    integer("horizon", horizon, low=1)
    for name, value in (("step", step), ("weight", weight), ("attenuation", attenuation)):
        positive(name, value)

    def dynamics(x: Tensor, u: Tensor, _t: Tensor) -> Tensor:
        a = u[:2] - u[2:]
        return torch.cat([x[:2] + step * x[2:] + 0.5 * step**2 * a, x[2:] + step * a])

    def running(sign: float):
        def cost(_x: Tensor, u: Tensor, _t: Tensor) -> Tensor:
            effort = (u[:2] * u[:2]).sum() - attenuation**2 * (u[2:] * u[2:]).sum()
            return 0.5 * sign * step * effort

        return cost

    def terminal(sign: float):
        return lambda x: 0.5 * sign * weight * (x[:2] * x[:2]).sum()

    game = NonlinearGame(
        dynamics=dynamics,
        running_costs=[running(1.0), running(-1.0)],
        terminal_costs=[terminal(1.0), terminal(-1.0)],
        control_slices=[slice(0, 2), slice(2, 4)],
        state_size=4,
        horizon=horizon,
    )
    return ReadyGame(
        name="point_mass",
        game=game,
        x0=torch.tensor([5.0, 2.0, -1.0, 0.5], dtype=dtype),
        controls=torch.zeros(horizon, 4, dtype=dtype),
        max_iterations=5,
        information=("feedback",),
        positions=(slice(0, 2),),
    )


def point_mass_value(
    x0: Tensor, horizon: int, *, step: float = 0.1, weight: float = 10.0, attenuation: float = 2.0
) -> Tensor:
    """Give the saddle value in closed form.

    Args:
        x0: Initial state, shape (..., 4).
        horizon: Number T of stages.
        step: Length h of a stage.
        weight: Weight c of the squared miss.
        attenuation: g.

    Returns:
        The interceptor's cost, shape (...).
    """
    shares = [(step**2 * (horizon - t - 0.5)) ** 2 / step for t in range(horizon)]
    value = 1 / (1 / weight + (1 - 1 / attenuation**2) * sum(shares))
    miss = x0[..., :2] + horizon * step * x0[..., 2:]
    return 0.5 * value * (miss * miss).sum(-1)
