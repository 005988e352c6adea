r"""Is a point of a differentiable game an equilibrium? Without a matrix of its size.

* residual: norm of each player's own gradient xi_i;
* local Nash: the own Hessian `d^2 f^i / du^i du^i` has no negative eigenvalue (Ratliff, Burden &
  Sastry, 2016, a differential Nash equilibrium where they are positive);
* local Stackelberg with leader L: the followers' conditions as above, the leader's total gradient
  `Z' g^L` zero and `Z' (d^2 f^L + ..) Z` without a negative eigenvalue (Fiez et al., 1906.01217,
  definition 4; the curvature of the followers' answer itself is left out, which is exact for
  followers with quadratic costs);
* deviation gain: what a best response, trained by damped Newton steps on the own cost with the
  others held, saves. It is what was found, not a bound.

Smallest eigenvalues are the least Ritz values of Lanczos on Hessian products: never below the true
ones, and within `bound` of an eigenvalue.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ocngame._checks import integer
from ocngame.errors import InvalidInputError
from ocngame.games import GamePoint, PlayerGame
from ocngame.linalg import gmres, lanczos

__all__ = ["PlayerReport", "examine_players"]

_FIT = 1e-10
"""Relative residual of the followers' solves."""


@dataclass(frozen=True, kw_only=True)
class PlayerReport:
    """What was found about a point, for N players.

    Attributes:
        names: The players.
        costs: Shape (N,).
        residuals: Norms of the gradients that count: the players' own, a leader's total one (N,).
        own_curvature: Least Ritz value of each player's own Hessian, a leader's along the
            followers' answer (N,).
        bound: Distance within which each has an eigenvalue (N,).
        gain: What the trained best responses saved (N,), None if none was trained.
        leader: Index of the leader, None for Nash.
    """

    names: tuple[str, ...]
    costs: Tensor
    residuals: Tensor
    own_curvature: Tensor
    bound: Tensor
    gain: Tensor | None
    leader: int | None

    def is_local(self, *, residual: float = 1e-6, curvature: float = 1e-6) -> bool:
        """Say whether the point passes as a local equilibrium.

        Args:
            residual: Largest norm of a gradient that counts as zero.
            curvature: Largest negative curvature that counts as zero.

        Returns:
            Whether both conditions hold; false where a number is not finite.
        """
        still = bool((self.residuals <= residual).all())
        return still and bool((self.own_curvature >= -curvature).all())


def examine_players(
    game: PlayerGame,
    *batch: Any,
    generator: torch.Generator,
    leader: int | None = None,
    lanczos_steps: int = 30,
    response_steps: int = 0,
) -> PlayerReport:
    """Examine the players' present tensors.

    Args:
        game: The game; its players are not moved.
        *batch: Passed on to the costs.
        generator: Draws the first vectors of Lanczos.
        leader: Index of a leader for the Stackelberg conditions, None for Nash.
        lanczos_steps: Most Hessian products per player; with as many as it has numbers, eigenvalues
            are exact.
        response_steps: Newton steps of each trained best response; 0: none.

    Returns:
        The report.

    Raises:
        InvalidInputError: if the leader is not one of the players or a number of steps is out of
            range.
    """
    integer("lanczos_steps", lanczos_steps, low=1)
    integer("response_steps", response_steps, low=0)
    if leader is not None and not 0 <= leader < game.player_count:
        raise InvalidInputError(
            f"leader: expected the index of one of {game.player_count} players, got {leader}"
        )
    control = game.control
    point = GamePoint(game, game.split(control), batch)
    slopes = [point.own_gradient[block] for block in game.control_slices]
    seen = None
    if leader is not None:
        seen = _Answer(point, leader)
        slopes[leader] = seen.pulled_back(point.gradients[leader])
    values, bounds = [], []
    for i, block in enumerate(game.control_slices):

        def own(v: Tensor, i: int = i) -> Tensor:
            if seen is not None and i == leader:
                return seen.pulled_back(point.hessian_product(i, seen.pushed(v)))
            return point.hessian_product(i, v, rows=i, columns=i)

        size = block.stop - block.start
        start = torch.randn(size, generator=generator, dtype=torch.float64).to(control)
        pairs = lanczos(own, start, steps=lanczos_steps)
        values.append(pairs.values[0])
        bounds.append(pairs.residuals[0])
    gain = None
    if response_steps > 0:
        gains = [best_response_gain(game, i, batch, response_steps) for i in range(len(slopes))]
        gain = torch.tensor(gains, dtype=control.dtype)
    return PlayerReport(
        names=game.names,
        costs=point.costs,
        residuals=torch.stack([slope.norm() for slope in slopes]),
        own_curvature=torch.stack(values),
        bound=torch.stack(bounds),
        gain=gain,
        leader=leader,
    )


def best_response_gain(game: PlayerGame, player: int, batch: Sequence[Any], steps: int) -> float:
    """Train a best response of one player, the others held, and give what it saves.

    Args:
        game: The game; its players are not moved.
        player: Index of the player.
        batch: Passed on to the costs.
        steps: Newton steps, each damped until the cost falls.

    Returns:
        The saving, at least 0.
    """
    control = game.control
    block = game.control_slices[player]
    first = best = _cost(game, player, control, batch)
    damping = 1e-2
    for _ in range(steps):
        point = GamePoint(game, game.split(control), batch)
        slope = point.gradients[player, block]

        def operator(v: Tensor, damping: float = damping, point: GamePoint = point) -> Tensor:
            return point.hessian_product(player, v, rows=player, columns=player) + damping * v

        move = gmres(operator, -slope, tolerance=1e-6, max_products=20).solution
        if float(move @ slope) > 0:
            move = -move
        trial = control.clone()
        trial[block] += move
        cost = _cost(game, player, trial, batch)
        if cost < best:
            control, best, damping = trial, cost, max(damping / 4, 1e-10)
        else:
            damping *= 8
    return first - best


class _Answer:
    """The followers' first-order answer to a leader's move, `Z = [I; -S_FF^{-1} S_FL]`."""

    def __init__(self, point: GamePoint, leader: int):
        self._point, self._block = point, point.game.control_slices[leader]

    def pushed(self, v: Tensor) -> Tensor:
        """Give `Z v`."""
        joint = torch.zeros_like(self._point.own_gradient)
        joint[self._block] = v
        right = self._point.jacobian_product(joint)
        right[self._block] = 0
        return joint - self._solve(self._point.jacobian_product, right)

    def pulled_back(self, y: Tensor) -> Tensor:
        """Give `Z' y`."""
        right = y.clone()
        right[self._block] = 0
        adjoint = self._solve(self._point.transposed_product, right)
        return y[self._block] - self._point.transposed_product(adjoint)[self._block]

    def _solve(self, product: Callable[[Tensor], Tensor], right: Tensor) -> Tensor:
        def operator(v: Tensor) -> Tensor:
            image = product(v)
            image[self._block] = 0
            return image

        return gmres(operator, right, tolerance=_FIT, max_products=200).solution


def _cost(game: PlayerGame, player: int, control: Tensor, batch: Sequence[Any]) -> float:
    return float(game.evaluate(game.split(control), *batch)[player].detach())
