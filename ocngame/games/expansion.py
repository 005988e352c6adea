r"""Derivatives of a nonlinear game along a trajectory, to second order.

With `z = (x, u)`: the Jacobian `f_z = (A, B)` and Hessian of the dynamics, gradients and Hessians
of every player's costs. Inequalities enter by their augmented Lagrangian,

    1/(2 rho) sum_j [ max(0, y_j + rho h_j)^2 - y_j^2 ],     multipliers y >= 0, penalty rho > 0

whose gradient is `sum_j y'_j grad h_j` with `y' = max(0, y + rho h)`: that of the Lagrangian at the
next multipliers, so a point that is stationary for one is stationary for the other.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import jacfwd, jacrev

from ocngame.linalg import project_psd, symmetrise

if TYPE_CHECKING:
    from ocngame.games.nonlinear import NonlinearGame

__all__ = [
    "Expansion",
    "Multipliers",
    "augmented_costs",
    "constraint_values",
    "expand",
    "projected",
]


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """Derivatives along B trajectories of T stages, for N players.

    Attributes:
        f_z: Jacobians of the dynamics, shape (B, T, n, n+m).
        f_zz: Hessians of the dynamics, shape (B, T, n, n+m, n+m), or None to leave them out.
        l_z: Gradients of the running costs, shape (B, N, T, n+m).
        l_zz: Hessians of the running costs, shape (B, N, T, n+m, n+m).
        phi_x: Gradients of the terminal costs, shape (B, N, n).
        phi_xx: Hessians of the terminal costs, shape (B, N, n, n).
    """

    f_z: Tensor
    f_zz: Tensor | None
    l_z: Tensor
    l_zz: Tensor
    phi_x: Tensor
    phi_xx: Tensor

    def team(self, weights: Sequence[float]) -> "Expansion":
        """Give the derivatives for one player who minimises a weighted sum of all costs.

        Args:
            weights: One weight per player.

        Returns:
            The derivatives, with N = 1.
        """
        w = self.l_z.new_tensor(weights)

        def weighted(part: Tensor) -> Tensor:
            return (w.reshape(-1, *(1,) * (part.ndim - 2)) * part).sum(1, keepdim=True)

        names = ("l_z", "l_zz", "phi_x", "phi_xx")
        return replace(self, **{name: weighted(getattr(self, name)) for name in names})


@dataclass(frozen=True, kw_only=True)
class Multipliers:
    """Multipliers and penalty of B trajectories.

    Attributes:
        running: Multipliers of the running constraints, shape (B, T, C).
        terminal: Multipliers of the terminal constraints, shape (B, C').
        penalty: rho, shape (B,).
    """

    running: Tensor
    terminal: Tensor
    penalty: Tensor

    def take(self, index: Tensor) -> "Multipliers":
        """Pick trajectories.

        Args:
            index: Which, shape (b,).

        Returns:
            Their multipliers.
        """
        return Multipliers(
            running=self.running[index],
            terminal=self.terminal[index],
            penalty=self.penalty[index],
        )

    def flat(self, batch: torch.Size) -> "Multipliers":
        """Bring multipliers with leading dimensions to a batch, and flatten it.

        Args:
            batch: The batch's shape.

        Returns:
            The multipliers with one batch dimension.
        """
        count = batch.numel()
        running = self.running.expand(*batch, *self.running.shape[-2:])
        terminal = self.terminal.expand(*batch, self.terminal.shape[-1])
        return Multipliers(
            running=running.reshape(count, *running.shape[-2:]),
            terminal=terminal.reshape(count, terminal.shape[-1]),
            penalty=self.penalty.expand(batch).reshape(count),
        )


def expand(
    game: "NonlinearGame",
    xs: Tensor,
    us: Tensor,
    *,
    multipliers: Multipliers | None = None,
    dynamics_hessian: bool = True,
) -> Expansion:
    """Expand a game along trajectories.

    Args:
        game: The game.
        xs: States, shape (B, T+1, n).
        us: Joint controls, shape (B, T, m).
        multipliers: Multipliers of the game's constraints; the constraints are left out if None.
        dynamics_hessian: Whether the Hessians of the dynamics are wanted.

    Returns:
        The derivatives of dynamics, costs and the constraints' augmented Lagrangian.
    """
    _load_forward_mode()
    n, count = game.state_size, game.player_count
    z = torch.cat([xs[:, :-1], us], dim=-1)
    stages = torch.arange(game.horizon, device=us.device)
    if game.expansion is not None:
        found = game.expansion(xs, us)
        found = found if dynamics_hessian else replace(found, f_zz=None)
    else:
        # Forward mode may turn the derivatives of float32 scalars into float64: hence the casts.
        def dynamics(z: Tensor, t: Tensor) -> Tensor:
            return game.dynamics(z[:n], z[n:], t)

        def running(z: Tensor, t: Tensor) -> Tensor:
            return torch.stack([cost(z[:n], z[n:], t) for cost in game.running_costs])

        def terminal(x: Tensor) -> Tensor:
            return torch.stack([cost(x) for cost in game.terminal_costs])

        if dynamics_hessian:
            f_zz, f_z = _over_stages(_with_value(jacfwd(dynamics)))(z, stages)
        else:
            f_zz, f_z = None, _over_stages(jacfwd(dynamics))(z, stages)
        l_zz, l_z = _over_stages(_with_value(jacrev(running)))(z, stages)
        phi_xx, phi_x = torch.vmap(_with_value(jacrev(terminal)))(xs[:, -1])
        found = Expansion(
            f_z=f_z.to(xs.dtype),
            f_zz=None if f_zz is None else f_zz.to(xs.dtype),
            l_z=l_z.transpose(1, 2).to(xs.dtype),
            l_zz=symmetrise(l_zz).transpose(1, 2).to(xs.dtype),
            phi_x=phi_x.to(xs.dtype),
            phi_xx=symmetrise(phi_xx).to(xs.dtype),
        )
    if multipliers is None or not game.constraints:
        return found
    rho = multipliers.penalty
    along, last = _constraints(game)
    if along is not None:
        h_zz, (h_z, h) = _over_stages(_with_both(along))(z, stages)
        h_zz, h_z = h_zz.to(h.dtype), h_z.to(h.dtype)
        member = _members(game, terminal=False, count=count, like=h)
        active = _active(multipliers.running, rho[:, None, None], h)
        slope, curve = _lagrangian(active, rho[:, None, None], h_z, h_zz, member)
        found = replace(found, l_z=found.l_z + slope.movedim(-2, 1))
        found = replace(found, l_zz=found.l_zz + curve.movedim(-3, 1))
    if last is not None:
        h_xx, (h_x, h) = torch.vmap(_with_both(last))(xs[:, -1])
        h_xx, h_x = h_xx.to(h.dtype), h_x.to(h.dtype)
        member = _members(game, terminal=True, count=count, like=h)
        active = _active(multipliers.terminal, rho[:, None], h)
        slope, curve = _lagrangian(active, rho[:, None], h_x, h_xx, member)
        found = replace(found, phi_x=found.phi_x + slope, phi_xx=found.phi_xx + curve)
    return found


def constraint_values(game: "NonlinearGame", xs: Tensor, us: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate the constraints along trajectories.

    Args:
        game: The game.
        xs: States, shape (B, T+1, n).
        us: Joint controls, shape (B, T, m).

    Returns:
        Running values (B, T, C) and terminal values (B, C').
    """
    along, last = _constraints(game)
    stages = torch.arange(game.horizon, device=us.device)
    z = torch.cat([xs[:, :-1], us], dim=-1)
    running = us.new_zeros(*us.shape[:2], 0) if along is None else _over_stages(along)(z, stages)
    terminal = us.new_zeros(len(us), 0) if last is None else torch.vmap(last)(xs[:, -1])
    return running, terminal


def projected(expansion: Expansion, mask: Tensor) -> Expansion:
    """Project the costs' Hessians on the positive semi-definite cone, and leave out the dynamics'.

    Args:
        expansion: Derivatives along B trajectories, finite where they are projected.
        mask: Which trajectories, shape (B,).

    Returns:
        The derivatives of a game in which every player's cost is convex.
    """
    wide, narrow = mask[:, None, None, None, None], mask[:, None, None, None]
    l_zz = project_psd(torch.where(wide, expansion.l_zz, 0))
    phi_xx = project_psd(torch.where(narrow, expansion.phi_xx, 0))
    f_zz = expansion.f_zz
    return replace(
        expansion,
        f_zz=None if f_zz is None else torch.where(wide, 0, f_zz),
        l_zz=torch.where(wide, l_zz, expansion.l_zz),
        phi_xx=torch.where(narrow, phi_xx, expansion.phi_xx),
    )


def augmented_costs(
    game: "NonlinearGame", xs: Tensor, us: Tensor, multipliers: Multipliers | None
) -> Tensor:
    """Give every player's cost plus the augmented Lagrangian of its constraints.

    Args:
        game: The game.
        xs: States, shape (B, T+1, n).
        us: Joint controls, shape (B, T, m).
        multipliers: Multipliers of the constraints; the constraints are left out if None.

    Returns:
        The costs, shape (B, N).
    """
    costs = game.costs(xs, us)
    if multipliers is None or not game.constraints:
        return costs
    running, terminal = constraint_values(game, xs, us)
    parts = (
        (multipliers.running, running.flatten(1), False),
        (multipliers.terminal.unsqueeze(1), terminal, True),
    )
    rho = multipliers.penalty[:, None, None]
    for y, values, last in parts:
        if not values.shape[-1]:
            continue
        h = values.unflatten(-1, y.shape[1:])
        terms = ((y + rho * h).clamp_min(0).square() - y.square()) / (2 * rho)
        member = _members(game, terminal=last, count=game.player_count, like=h)
        costs = costs + torch.einsum("btc,ic->bi", terms, member)
    return costs


def _constraints(game: "NonlinearGame"):
    """Join the running constraints, and the terminal ones, to one function each."""
    n = game.state_size
    along = [c.function for c in game.constraints if not c.terminal]
    last = [c.function for c in game.constraints if c.terminal]

    def running(z: Tensor, t: Tensor) -> Tensor:
        return torch.cat([h(z[:n], z[n:], t) for h in along])

    def terminal(x: Tensor) -> Tensor:
        return torch.cat([h(x) for h in last])

    return running if along else None, terminal if last else None


def _members(game: "NonlinearGame", *, terminal: bool, count: int, like: Tensor) -> Tensor:
    """Say which player carries which entry, shape (N, C), as zeros and ones."""
    x, u = like.new_zeros(game.state_size), like.new_zeros(game.control_size)
    t = torch.tensor(0, device=like.device)
    columns = []
    for constraint in game.constraints:
        if constraint.terminal is not terminal:
            continue
        value = constraint.function(x) if terminal else constraint.function(x, u, t)
        mask = like.new_zeros(count, len(value))
        mask[list(constraint.players)] = 1
        columns.append(mask)
    return torch.cat(columns, dim=-1)


def _active(multipliers: Tensor, penalty: Tensor, values: Tensor) -> Tensor:
    return (multipliers + penalty * values).clamp_min(0)


def _lagrangian(
    active: Tensor, penalty: Tensor, slopes: Tensor, curves: Tensor, member: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients (..., N, z) and Hessians (..., N, z, z) of every player's augmented Lagrangian."""
    own = active.unsqueeze(-2) * member
    steep = (penalty * (active > 0)).unsqueeze(-2) * member
    slope = own @ slopes
    bent = torch.einsum("...ic,...cab->...iab", own, symmetrise(curves))
    outer = torch.einsum("...ic,...ca,...cb->...iab", steep, slopes, slopes)
    return slope, bent + outer


@cache
def _load_forward_mode() -> None:
    """Let torch load its forward-mode rules, which warns of torch's own use of its old compiler."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        jacfwd(torch.sin)(torch.zeros(1))


def _over_stages(function: Callable) -> Callable:
    return torch.vmap(torch.vmap(function), in_dims=(0, None))


def _with_value(function: Callable) -> Callable:
    """Give the forward-mode Jacobian of a function together with its value."""

    def twice(*args: Tensor) -> tuple[Tensor, Tensor]:
        value = function(*args)
        return value, value

    return jacfwd(twice, has_aux=True)


def _with_both(function: Callable) -> Callable:
    """Give the Hessian of a vector function together with its Jacobian and value."""

    def once(*args: Tensor) -> tuple[Tensor, Tensor]:
        value = function(*args)
        return value, value

    def twice(*args: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        slope, value = jacfwd(once, has_aux=True)(*args)
        return slope, (slope, value)

    return jacfwd(twice, has_aux=True)
