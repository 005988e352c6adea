r"""Two firms with sticky prices (Fershtman and Kamien, 1987), in discrete time.

The price p moves towards inverse demand `a - (q_1 + q_2)` at speed s, firm i chooses its output:

    p+ = p + h s (a - q_1 - q_2 - p),      profit = sum_t d^t h [ (p - c) q_i - 1/2 q_i^2 ]

with a = 10, c = 1, s = 0.5, discount rate 0.05 (`d = exp(-0.05 h)`), h = 0.25, T = 60. The game is
linear-quadratic and symmetric, so feedback Nash has a closed form: with the current value of cost
`1/2 A p^2 + B p` at the next stage, `b = h s`, `F = 1 - b - 2 b K` and `f = b a - 2 b k`, both
firms choose `q = k + K p` with

    K = (h + d b A (1 - b)) / (h + 2 d b^2 A)        A <- h (K^2 - 2 K) + d A F^2
    k = (d b^2 A a + d b B - h c) / (h + 2 d b^2 A)  B <- h (k K - k + c K) + d (A F f + B F)
"""

import math

import torch
from torch import Tensor

from ocngame.games.nonlinear import NonlinearGame
from ocngame.games.zoo.ready import ReadyGame

__all__ = ["duopoly", "duopoly_policy"]

STEP, SPEED, DISCOUNT = 0.25, 0.5, math.exp(-0.05 * 0.25)
DEMAND, COST = 10.0, 1.0


def duopoly(horizon: int = 60, *, dtype=torch.float64) -> ReadyGame:
    """Make the game.

    Args:
        horizon: Number T of stages.
        dtype: Floating point type of the start.

    Returns:
        The game, starting from no output.
    """

    def dynamics(x: Tensor, u: Tensor, _t: Tensor) -> Tensor:
        return x + STEP * SPEED * (DEMAND - u.sum() - x)

    def running(i: int):
        def cost(x: Tensor, u: Tensor, t: Tensor) -> Tensor:
            weight = STEP * (math.log(DISCOUNT) * t.to(x.dtype)).exp()
            return weight * (0.5 * u[i] ** 2 - (x[0] - COST) * u[i])

        return cost

    game = NonlinearGame(
        dynamics=dynamics,
        running_costs=[running(0), running(1)],
        terminal_costs=[lambda x: 0.0 * x[0]] * 2,
        control_slices=[slice(0, 1), slice(1, 2)],
        state_size=1,
        horizon=horizon,
    )
    return ReadyGame(
        name="duopoly",
        game=game,
        x0=torch.tensor([4.0], dtype=dtype),
        controls=torch.zeros(horizon, 2, dtype=dtype),
        max_iterations=5,
    )


def duopoly_policy(horizon: int) -> list[tuple[float, float]]:
    """Give the feedback equilibrium in closed form.

    Args:
        horizon: Number T of stages.

    Returns:
        Each stage's (k, K), the same for both firms.
    """
    h, d, b = STEP, DISCOUNT, STEP * SPEED
    A = B = 0.0
    policies = []
    for _ in range(horizon):
        whole = h + 2 * d * b**2 * A
        K = (h + d * b * A * (1 - b)) / whole
        k = (d * b**2 * A * DEMAND + d * b * B - h * COST) / whole
        F, f = 1 - b - 2 * b * K, b * DEMAND - 2 * b * k
        A, B = (
            h * (K**2 - 2 * K) + d * A * F**2,
            h * (k * K - k + COST * K) + d * (A * F * f + B * F),
        )
        policies.append((k, K))
    return policies[::-1]
