"""Nonlinear games for tests: linear-quadratic ones written as functions, and a small duel."""

import torch
from torch import Tensor

from ocngame import LQGame, NonlinearGame
from ocngame.games import at_stage, rk4


def as_functions(game: LQGame) -> NonlinearGame:
    """A linear-quadratic game without a batch, given by its functions."""

    def dynamics(x: Tensor, u: Tensor, t: Tensor) -> Tensor:
        return at_stage(game.A, t) @ x + at_stage(game.B, t) @ u + at_stage(game.c, t)

    def running(i: int):
        def cost(x: Tensor, u: Tensor, t: Tensor) -> Tensor:
            Q, q, R, r, M = (
                at_stage(part[i], t) for part in (game.Q, game.q, game.R, game.r, game.M)
            )
            return 0.5 * x @ Q @ x + q @ x + 0.5 * u @ R @ u + r @ u + x @ M @ u

        return cost

    return NonlinearGame(
        dynamics=dynamics,
        running_costs=[running(i) for i in range(game.player_count)],
        terminal_costs=[
            lambda x, i=i: 0.5 * x @ game.Q[i, -1] @ x + game.q[i, -1] @ x
            for i in range(game.player_count)
        ],
        control_slices=game.control_slices,
        state_size=game.state_size,
        horizon=game.horizon,
    )


def duel(horizon: int = 12, **changes) -> NonlinearGame:
    """Two players push one pendulum towards different angles."""

    def field(x: Tensor, u: Tensor, _s: Tensor) -> Tensor:
        return torch.stack([x[1], x[0].sin() + u[0] + 0.8 * u[1] * x[0].cos()])

    def running(i: int):
        return lambda x, u, t: 0.5 * (u[i] ** 2 + 0.1 * u[0] * u[1] + (x[0] - 0.5 * i) ** 2)

    pieces = {
        "dynamics": rk4(field, 0.2),
        "running_costs": [running(0), running(1)],
        "terminal_costs": [lambda x: 2 * x @ x, lambda x: 2 * (x[0] - 0.5) ** 2 + x[1] ** 2],
        "control_slices": [slice(0, 1), slice(1, 2)],
        "state_size": 2,
        "horizon": horizon,
    }
    return NonlinearGame(**{**pieces, **changes})


def swing(horizon: int = 15) -> NonlinearGame:
    """One player swings the pendulum up."""
    return duel(
        horizon,
        running_costs=[lambda x, u, t: 0.5 * (u @ u + (1 - x[0].cos()))],
        terminal_costs=[lambda x: 5 * x @ x],
        control_slices=[slice(0, 2)],
    )


START = torch.tensor([1.0, -0.2], dtype=torch.float64)
