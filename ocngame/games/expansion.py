r"""Derivatives of a nonlinear game along a trajectory, to second order.

With `z = (x, u)`: the Jacobian `f_z = (A, B)` and Hessian of the dynamics, gradients and Hessians
of every player's costs. Inequalities enter by their augmented Lagrangian
(`ocngame.games.multipliers`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ocngame.games.multipliers import (
    Multipliers,
    augmented_costs,
    constraint_values,
    lagrangian,
)
from ocngame.games.stage_functions import along_stages, at_the_end
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
    z = torch.cat([xs[:, :-1], us], dim=-1)
    if game.expansion is not None:
        found = game.expansion(xs, us)
        found = found if dynamics_hessian else replace(found, f_zz=None)
    else:
        found = _functions(game, z, xs[:, -1], dynamics_hessian=dynamics_hessian)
    if multipliers is None or not game.constraints:
        return found
    rho, shape = multipliers.penalty, z.shape[:2]
    along, last = along_stages(game, "along", z), at_the_end(game, "last", xs[:, -1])
    if along is not None:
        y = multipliers.running.flatten(0, 1)
        each = rho.unsqueeze(-1).expand(shape).flatten()
        slope, curve = lagrangian(game, along, y, each, last=False)
        slope, curve = slope.unflatten(0, shape), curve.unflatten(0, shape)
        found = replace(
            found,
            l_z=found.l_z + slope.transpose(1, 2),
            l_zz=found.l_zz + curve.transpose(1, 2),
        )
    if last is not None:
        slope, curve = lagrangian(game, last, multipliers.terminal, rho, last=True)
        found = replace(found, phi_x=found.phi_x + slope, phi_xx=found.phi_xx + curve)
    return found


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


def _functions(
    game: "NonlinearGame", z: Tensor, last: Tensor, *, dynamics_hessian: bool
) -> Expansion:
    f = along_stages(game, "dynamics", z, second=dynamics_hessian)
    cost = along_stages(game, "running", z)
    phi = at_the_end(game, "terminal", last)
    if f is None or cost is None or phi is None or cost.curve is None or phi.curve is None:
        raise TypeError("game: expected one with dynamics and costs")
    shape = z.shape[:2]
    return Expansion(
        f_z=f.slope.unflatten(0, shape),
        f_zz=None if f.curve is None else f.curve.unflatten(0, shape),
        l_z=cost.slope.unflatten(0, shape).transpose(1, 2),
        l_zz=symmetrise(cost.curve).unflatten(0, shape).transpose(1, 2),
        phi_x=phi.slope,
        phi_xx=symmetrise(phi.curve),
    )
