"""Slow, independent answers: textbook recursion in z = (x, 1), dense matrices over the horizon."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame import LQGame


@dataclass(frozen=True)
class Lifted:
    """The whole game in the stacked control: J^i = 1/2 u' H_i u + g_i' u + const."""

    hessians: list[Tensor]
    gradients: list[Tensor]
    own: list[Tensor]


def homogeneous(game: LQGame, t: int, player: int) -> tuple[Tensor, ...]:
    """A, B, Q, M of z = (x, 1): z+ = A z + B u, cost 1/2 z'Qz + z'Mu + 1/2 u'Ru."""
    n = game.state_size
    A = torch.zeros(n + 1, n + 1, dtype=torch.float64)
    A[:n, :n], A[:n, n], A[n, n] = game.A[t], game.c[t], 1
    B = torch.cat([game.B[t], torch.zeros(1, game.control_size, dtype=torch.float64)])
    M = torch.cat([game.M[player, t], game.r[player, t][None]])
    return A, B, state_cost(game, t, player), M


def state_cost(game: LQGame, t: int, player: int) -> Tensor:
    n = game.state_size
    Q = torch.zeros(n + 1, n + 1, dtype=torch.float64)
    Q[:n, :n], Q[:n, n], Q[n, :n] = (
        game.Q[player, t],
        game.q[player, t],
        game.q[player, t],
    )
    return Q


def feedback_gains(game: LQGame) -> tuple[list[Tensor], list[Tensor]]:
    """u_t = -P_t z_t by the coupled Riccati recursion, and Z_0 of every player."""
    players = range(game.player_count)
    Z = [state_cost(game, game.horizon, i) for i in players]
    gains: list[Tensor] = []
    for t in reversed(range(game.horizon)):
        rows, right = [], []
        for i in players:
            A, B, _, M = homogeneous(game, t, i)
            block = game.control_slices[i]
            rows.append((game.R[i, t] + B.T @ Z[i] @ B)[block])
            right.append((M.T + B.T @ Z[i] @ A)[block])
        P = torch.linalg.solve(torch.cat(rows), torch.cat(right))
        new = []
        for i in players:
            A, B, Q, M = homogeneous(game, t, i)
            F = A - B @ P
            new.append(F.T @ Z[i] @ F + Q - M @ P - P.T @ M.T + P.T @ game.R[i, t] @ P)
        Z = new
        gains.insert(0, P)
    return gains, Z


def lift(game: LQGame, x0: Tensor) -> Lifted:
    """Condense the whole horizon into the stacked control by explicit products of matrices."""
    T, n, m = game.horizon, game.state_size, game.control_size
    effect = torch.zeros((T + 1) * n, T * m, dtype=torch.float64)
    free = torch.zeros((T + 1) * n, dtype=torch.float64)
    free[:n] = x0
    for t in range(T):
        now, then = slice(t * n, (t + 1) * n), slice((t + 1) * n, (t + 2) * n)
        free[then] = game.A[t] @ free[now] + game.c[t]
        effect[then] = game.A[t] @ effect[now]
        effect[then, t * m : (t + 1) * m] += game.B[t]
    hessians, gradients, own = [], [], []
    for i, block in enumerate(game.control_slices):
        Q = torch.block_diag(*game.Q[i])
        R = torch.block_diag(*game.R[i])
        M = torch.cat([torch.block_diag(*game.M[i]), torch.zeros(n, T * m, dtype=torch.float64)])
        cross = effect.T @ M
        hessians.append(effect.T @ Q @ effect + R + cross + cross.T)
        gradients.append(
            effect.T @ (Q @ free + game.q[i].flatten()) + M.T @ free + game.r[i].flatten()
        )
        own.append(
            torch.cat([torch.arange(t * m + block.start, t * m + block.stop) for t in range(T)])
        )
    return Lifted(hessians, gradients, own)


def open_loop_controls(game: LQGame, x0: Tensor) -> Tensor:
    """Solve all players' stationarity conditions over the horizon at once."""
    lifted = lift(game, x0)
    system = torch.zeros_like(lifted.hessians[0])
    right = torch.zeros_like(lifted.gradients[0])
    for H, g, own in zip(lifted.hessians, lifted.gradients, lifted.own, strict=True):
        system[own], right[own] = H[own], -g[own]
    return torch.linalg.solve(system, right).reshape(game.horizon, game.control_size)


def condensed_eigenvalues(game: LQGame) -> list[float]:
    """Smallest eigenvalue of each player's Hessian in its own control sequence."""
    lifted = lift(game, torch.zeros(game.state_size, dtype=torch.float64))
    return [
        float(torch.linalg.eigvalsh(H[own][:, own])[0])
        for H, own in zip(lifted.hessians, lifted.own, strict=True)
    ]
