"""A nonlinear game rolled out under policies about a trajectory, or about the origin."""

import torch
from torch import Tensor

from ocngame.bellman.forward import forward_sweep
from ocngame.bellman.lq_stages import unstack_policies
from ocngame.bellman.policy import AffinePolicy
from ocngame.games.nonlinear import NonlinearGame

__all__ = ["about_origin", "follow", "play_nonlinear"]


def follow(
    game: NonlinearGame, xs: Tensor, us: Tensor, step: AffinePolicy, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Roll out `u = us + scale k + K (x - xs)` from the first state of each trajectory.

    Args:
        game: The game.
        xs: States, shape (B, T+1, n).
        us: Joint controls, shape (B, T, m).
        step: k (B, T, m) and K (B, T, m, n).
        scale: Step length on the feedforward of each trajectory, shape (B,).

    Returns:
        The new states and controls.
    """

    def advance(t: int, dx: Tensor, du: Tensor) -> Tensor:
        return game.advance(t, xs[:, t] + dx, us[:, t] + du) - xs[:, t + 1]

    moves, offsets = forward_sweep(
        unstack_policies(step), advance, torch.zeros_like(xs[:, 0]), scale
    )
    return xs + torch.stack(offsets, dim=1), us + torch.stack(moves, dim=1)


def play_nonlinear(
    game: NonlinearGame, policies: AffinePolicy, x0: Tensor
) -> tuple[Tensor, Tensor]:
    """Roll out `u = k + K x`.

    Args:
        game: The game.
        policies: A stack with feedforward (..., T, m) and feedback (..., T, m, n).
        x0: Initial state, shape (..., n).

    Returns:
        States (..., T+1, n) and controls (..., T, m).
    """
    batch = torch.broadcast_shapes(x0.shape[:-1], policies.feedforward.shape[:-2])
    k, K = policies.feedforward, policies.feedback
    k = k.expand(*batch, *k.shape[-2:]).reshape(-1, *k.shape[-2:])
    K = K.expand(*batch, *K.shape[-3:]).reshape(-1, *K.shape[-3:])
    start = x0.expand(*batch, x0.shape[-1]).reshape(-1, x0.shape[-1])
    flat = unstack_policies(AffinePolicy(feedforward=k, feedback=K))
    controls, states = forward_sweep(flat, game.advance, start)
    xs, us = torch.stack(states, dim=-2), torch.stack(controls, dim=-2)
    return xs.reshape(*batch, *xs.shape[1:]), us.reshape(*batch, *us.shape[1:])


def about_origin(xs: Tensor, us: Tensor, feedback: Tensor) -> AffinePolicy:
    """Write `u = us + K (x - xs)` as `u = k + K x`.

    Args:
        xs: States, shape (..., T+1, n).
        us: Joint controls, shape (..., T, m).
        feedback: K, shape (..., T, m, n).

    Returns:
        The policies, feedforward (..., T, m) and feedback (..., T, m, n).
    """
    moved = (feedback @ xs[..., :-1, :].unsqueeze(-1)).squeeze(-1)
    return AffinePolicy(feedforward=us - moved, feedback=feedback)
