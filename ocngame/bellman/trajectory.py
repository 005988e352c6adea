r"""A nonlinear game rolled out under policies about a trajectory, or about the origin.

Stage after stage costs T calls of the dynamics. With the Jacobians of a trajectory nearby, all
stages are advanced at once and their defects removed by sweeps of the linearised closed loop,

    d_t = f(x_t, u_t) - x_{t+1},    delta_{t+1} = (A_t + B_t K_t) delta_t + d_t,    x <- x + delta

until no defect is above rounding: Newton's method with Jacobians held, for the same rollout.
"""

import torch
from torch import Tensor

from ocngame.bellman.forward import forward_sweep
from ocngame.bellman.lq_stages import unstack_policies
from ocngame.bellman.policy import AffinePolicy
from ocngame.games.nonlinear import NonlinearGame
from ocngame.games.stage_functions import reached

__all__ = ["about_origin", "follow", "linear_sweep", "play_nonlinear"]

SWEEPS = 12
SHRINK = 0.25
ROUNDING = 16.0


def follow(
    game: NonlinearGame,
    xs: Tensor,
    us: Tensor,
    step: AffinePolicy,
    scale: Tensor,
    f_z: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Roll out `u = us + scale k + K (x - xs)` from the first state of each trajectory.

    Args:
        game: The game.
        xs: States, shape (B, T+1, n).
        us: Joint controls, shape (B, T, m).
        step: k (B, T, m) and K (B, T, m, n).
        scale: Step length on the feedforward of each trajectory, shape (B,).
        f_z: Jacobians of the dynamics near by, shape (B, T, n, n+m), for a faster rollout; without
            them, and where they are too far off, it goes stage by stage.

    Returns:
        The new states and controls.
    """
    if f_z is None or not len(xs):
        return _stage_by_stage(game, xs, us, step, scale)
    new_xs, new_us, sound = _all_at_once(game, xs, us, step, scale, f_z)
    rest = (~sound).nonzero().squeeze(-1)
    if len(rest):
        part = AffinePolicy(feedforward=step.feedforward[rest], feedback=step.feedback[rest])
        again = _stage_by_stage(game, xs[rest], us[rest], part, scale[rest])
        new_xs = new_xs.index_put((rest,), again[0])
        new_us = new_us.index_put((rest,), again[1])
    return new_xs, new_us


def linear_sweep(loops: Tensor, drifts: Tensor) -> Tensor:
    """Run `delta_{t+1} = loops_t delta_t + drifts_t` from zero.

    Args:
        loops: Shape (B, T, n, n).
        drifts: Shape (B, T, n).

    Returns:
        The states delta, shape (B, T+1, n).
    """
    if len(drifts) == 1:
        state = torch.zeros_like(drifts[0, 0])
        states = [state]
        for loop, drift in zip(loops[0].unbind(0), drifts[0].unbind(0), strict=True):
            state = torch.addmv(drift, loop, state)
            states.append(state)
        return torch.stack(states).unsqueeze(0)
    state = torch.zeros_like(drifts[:, 0]).unsqueeze(-1)
    states = [state]
    for loop, drift in zip(loops.unbind(1), drifts.unsqueeze(-1).unbind(1), strict=True):
        state = torch.baddbmm(drift, loop, state)
        states.append(state)
    return torch.stack(states, dim=1).squeeze(-1)


def _stage_by_stage(
    game: NonlinearGame, xs: Tensor, us: Tensor, step: AffinePolicy, scale: Tensor
) -> tuple[Tensor, Tensor]:
    def advance(t: int, dx: Tensor, du: Tensor) -> Tensor:
        return game.advance(t, xs[:, t] + dx, us[:, t] + du) - xs[:, t + 1]

    moves, offsets = forward_sweep(
        unstack_policies(step), advance, torch.zeros_like(xs[:, 0]), scale
    )
    return xs + torch.stack(offsets, dim=1), us + torch.stack(moves, dim=1)


def _all_at_once(
    game: NonlinearGame, xs: Tensor, us: Tensor, step: AffinePolicy, scale: Tensor, f_z: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Give states, controls, and which trajectories obey the dynamics to rounding."""
    n = xs.shape[-1]
    loops = f_z[..., :n] + f_z[..., n:] @ step.feedback
    start = us + scale[:, None, None] * step.feedforward
    states, controls = xs, start
    eps = torch.finfo(xs.dtype).eps
    last = torch.full_like(scale, torch.inf)
    alive = torch.ones_like(scale, dtype=torch.bool)
    for _ in range(SWEEPS):
        ends = reached(game, states[:, :-1], controls)
        defect = ends - states[:, 1:]
        size = 1 + states[:, 1:].abs() + ends.abs()
        worst = (defect.abs() / size).flatten(1).amax(-1)
        done = worst <= ROUNDING * eps
        alive = alive & (done | (worst <= SHRINK * last))
        if bool((done | ~alive).all()):
            break
        last = worst
        states = states + linear_sweep(loops, defect)
        away = (states - xs)[:, :-1].unsqueeze(-1)
        controls = start + (step.feedback @ away).squeeze(-1)
    else:
        done = torch.zeros_like(alive)
    return states, controls, done & alive


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
