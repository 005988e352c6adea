r"""Inequalities in a game's costs: multipliers and the augmented Lagrangian.

    1/(2 rho) sum_j [ max(0, y_j + rho h_j)^2 - y_j^2 ],     multipliers y >= 0, penalty rho > 0

whose gradient is `sum_j y'_j grad h_j` with `y' = max(0, y + rho h)`: that of the Lagrangian at the
next multipliers, so a point that is stationary for one is stationary for the other.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ocngame.games.derivatives import Derivatives
from ocngame.games.stage_functions import evaluated

if TYPE_CHECKING:
    from ocngame.games.nonlinear import NonlinearGame

__all__ = ["Multipliers", "augmented_costs", "constraint_values", "lagrangian"]


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


def constraint_values(game: "NonlinearGame", xs: Tensor, us: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate the constraints along trajectories.

    Args:
        game: The game.
        xs: States, shape (B, T+1, n).
        us: Joint controls, shape (B, T, m).

    Returns:
        Running values (B, T, C) and terminal values (B, C').
    """
    running = evaluated(game, "along", torch.cat([xs[:, :-1], us], dim=-1))
    terminal = evaluated(game, "last", xs[:, -1])
    return (
        us.new_zeros(*us.shape[:2], 0) if running is None else running,
        us.new_zeros(len(us), 0) if terminal is None else terminal,
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


def lagrangian(
    game: "NonlinearGame", found: Derivatives, multipliers: Tensor, penalty: Tensor, *, last: bool
) -> tuple[Tensor, Tensor]:
    """Differentiate every player's augmented Lagrangian of the constraints that it carries.

    Args:
        game: The game.
        found: Derivatives of the constraints at S points, C entries each.
        multipliers: Their multipliers, shape (S, C).
        penalty: rho, shape (S,).
        last: Whether these are the terminal constraints.

    Returns:
        Gradients (S, N, d) and Hessians (S, N, d, d).
    """
    member = _members(game, terminal=last, count=game.player_count, like=found.value)
    rho = penalty.unsqueeze(-1)
    active = (multipliers + rho * found.value).clamp_min(0)
    own = active.unsqueeze(-2) * member
    steep = (rho * (active > 0)).unsqueeze(-2) * member
    bent = torch.einsum("sic,scab->siab", own, found.curve)
    outer = torch.einsum("sic,sca,scb->siab", steep, found.slope, found.slope)
    return own @ found.slope, bent + outer


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
