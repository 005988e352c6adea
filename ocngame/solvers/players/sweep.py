r"""The stage game with averaged diagonal curvature, solved by a sweep over the players.

With `D_i = diag(sqrt(average of xi_i^2) + epsilon) / step` as player i's own curvature, the
feedback stage condition on the costs themselves, not on their expansion in the others' moves, is

    D_i du_i + d f^i / du^i (u^i, u^{-i} + du^{-i}) = 0      for every i

A sweep passes through the players in turn. Player i knows the moves that were made before its turn
and expects of the others what they did last time; its own gradient there is the right-hand side:

    du_i = -D_i^{-1} m_i
    m_i <- momentum m_i + (1 - momentum) d f^i / du^i (u^i, moved or expected)

(bias corrected). It is the forward Gauss-Seidel pass of `ocngame.bellman` with players in the place
of stages: a step costs one gradient per player, as simultaneous Adam does, needs no second
derivative and no memory beyond four vectors per player. Nobody answers the past: on `xy` the sweep
stays bounded where simultaneous moves spiral out.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ocngame._checks import in_range, non_negative, positive
from ocngame.errors import CheckpointError, InvalidInputError
from ocngame.games import PlayerGame
from ocngame.games.player_derivatives import joined
from ocngame.games.players import Values
from ocngame.solvers.players.averaging import IterateAverage
from ocngame.solvers.players.info import PlayerStepInfo

__all__ = ["SweepConfig", "SweepOpt"]


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """Settings of the sweep.

    Attributes:
        order: Players in the order of their turns; from the last to the first if None, so that a
            generator that stands first answers its discriminator.
        decay: Memory of the average of squares, in [0, 1).
        momentum: Memory of the own gradient, in [0, 1).
        expectation: How much of the others' last moves a player expects again.
        epsilon: Added to the root.
        memory: Memory of the averaged players, in [0, 1).
    """

    order: tuple[int, ...] | None = None
    decay: float = 0.9
    momentum: float = 0.5
    expectation: float = 1.0
    epsilon: float = 1e-8
    memory: float = 0.999

    def __post_init__(self) -> None:
        """Validate the settings."""
        for name in ("decay", "momentum", "memory"):
            in_range(name, getattr(self, name), low=0.0, high=1.0, high_open=True)
        non_negative("expectation", self.expectation)
        positive("epsilon", self.epsilon)


class SweepOpt:
    """Plays a differentiable game on batches: one gradient per player and step.

    Attributes:
        game: The game.
        lr: Step per unit of preconditioned gradient; may be changed between steps.
        config: Settings.
    """

    def __init__(self, game: PlayerGame, *, lr: float = 1e-3, config: SweepConfig | None = None):
        """Take a game.

        Args:
            game: The game; its players' tensors are moved in place.
            lr: Step per unit of preconditioned gradient.
            config: Settings.

        Raises:
            InvalidInputError: if the order does not name every player once.
        """
        positive("lr", lr)
        self.game, self.lr = game, lr
        self.config = config if config is not None else SweepConfig()
        everyone = range(game.player_count)
        order = self.config.order if self.config.order is not None else tuple(reversed(everyone))
        if sorted(order) != list(everyone):
            raise InvalidInputError(
                f"order: expected each of {game.player_count} players once, got {order}"
            )
        self._order = order
        zero = torch.zeros_like(game.control)
        self._state = {"mean": zero, "square": zero, "last": zero}
        self._count = 0
        self._average = IterateAverage(
            [p for own in game.parameters for p in own], memory=self.config.memory
        )

    def step(self, *batch: Any) -> PlayerStepInfo:
        """Make one sweep.

        Args:
            *batch: Passed on to the costs.

        Returns:
            What happened; costs and residuals are those that each player saw at its turn. A step
            with non-finite numbers is refused: players and solver stay as they are.
        """
        game, slices = self.game, self.game.control_slices
        before = game.control
        seen = before + self.config.expectation * self._state["last"]
        after, state = before.clone(), {k: v.clone() for k, v in self._state.items()}
        costs = [math.nan] * game.player_count
        residuals = [math.nan] * game.player_count
        self._count += 1
        for i in self._order:
            block = slices[i]
            seen[block] = before[block]
            cost, slope = self._own(i, game.split(seen), batch)
            move = self._move(state, block, slope)
            after[block] = seen[block] = before[block] + move
            state["last"][block] = move
            costs[i], residuals[i] = float(cost), float(slope.norm())
        accepted = bool(torch.isfinite(after).all()) and all(map(math.isfinite, costs))
        if accepted:
            game.assign(after)
            self._state = state
            self._average.update()
        else:
            self._count -= 1
        return PlayerStepInfo(
            costs=tuple(costs),
            residuals=tuple(residuals),
            accepted=accepted,
            length=self.lr,
            reason="" if accepted else "costs or moves are not finite",
        )

    def average(self) -> Tensor:
        """Give the averaged players.

        Returns:
            A joint control, shape (m,), for `game.assign`.
        """
        return self._average.joined()

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on, without the players' tensors.

        Returns:
            Plain data and tensors.
        """
        return {**self._state, "count": self._count, "average": self._average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Args:
            state: Plain data and tensors.

        Raises:
            CheckpointError: if it belongs to another game.
        """
        size = self.game.control_size
        if state.keys() != self.state_dict().keys() or len(state["mean"]) != size:
            raise CheckpointError(
                f"state: expected the state of SweepOpt for {size} numbers, got {sorted(state)}"
            )
        self._average.load_state_dict(state["average"])
        self._state = {name: state[name] for name in self._state}
        self._count = state["count"]

    def _own(self, player: int, values: Values, batch: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
        """Give a player's cost and its own gradient, shape (m_i,)."""
        own = [value.detach().requires_grad_() for value in values[player]]
        with torch.enable_grad():
            cost = self.game.evaluate_one(
                player, [own if j == player else v for j, v in enumerate(values)], *batch
            )
            slopes = (
                torch.autograd.grad(cost, own, allow_unused=True) if cost.requires_grad else [None]
            )
        if all(slope is None for slope in slopes):
            raise InvalidInputError(
                f"costs: expected the cost of player {self.game.names[player]!r} to depend on its "
                "own control, but it does not"
            )
        return cost.detach(), joined(slopes, own)

    def _move(self, state: dict[str, Tensor], block: slice, slope: Tensor) -> Tensor:
        """Take a gradient into a player's averages and give its move."""
        first, second = self.config.momentum, self.config.decay
        mean, square = state["mean"][block], state["square"][block]
        mean.lerp_(slope, 1 - first)
        square.mul_(second).addcmul_(slope, slope, value=1 - second)
        root = (square / (1 - second**self._count)).sqrt_().add_(self.config.epsilon)
        return mean / root * (-self.lr / (1 - first**self._count))
