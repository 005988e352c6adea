"""Costs of a trajectory of a linear-quadratic game, term by term."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ocngame._tensor_checks import shaped

if TYPE_CHECKING:
    from ocngame.games.lq import LQGame

__all__ = ["sum_of_terms"]


def sum_of_terms(game: "LQGame", xs: Tensor, us: Tensor) -> tuple[Tensor, Tensor]:
    """Give every player's cost of a trajectory, and the sum of its terms' magnitudes.

    Args:
        game: The game.
        xs: States, shape (..., T+1, n).
        us: Joint controls, shape (..., T, m).

    Returns:
        Two tensors of shape (..., N): the cost, and the scale against which differences of costs
        are to be read.

    Raises:
        InvalidInputError: naming the trajectory's part that has the wrong shape.
    """
    shaped("xs", xs, "... T+1 n", **{"T+1": game.horizon + 1, "n": game.state_size})
    shaped("us", us, "... T m", T=game.horizon, m=game.control_size)
    x, u = xs[..., None, :, :, None], us[..., None, :, :, None]
    before = x[..., :-1, :, :]
    terms = (
        0.5 * (x.mT @ game.Q @ x),
        game.q.unsqueeze(-2) @ x,
        0.5 * (u.mT @ game.R @ u),
        game.r.unsqueeze(-2) @ u,
        before.mT @ game.M @ u,
    )
    sums = [term.sum((-3, -2, -1)) for term in terms]
    scales = [term.abs().sum((-3, -2, -1)) for term in terms]
    return torch.stack(sums).sum(0), torch.stack(scales).sum(0)
