r"""Own curvature: what stands for player i's Hessian of its own cost in the stage game.

A player moves to a minimum of its cost, not to any stationary point, so the own block of the stage
game must be positive (semi-)definite:

* identity: `I / step`; with the mixed second derivatives beside it the stage game is that of
  competitive gradient descent (Schaefer & Anandkumar, 1905.12103, equation 3);
* diagonal: `diag(sqrt(average of xi^2) + epsilon) / step`, Adam's denominator, bias corrected;
* full: the Hessian with its negative eigenvalues taken out, so that a player goes down its gradient
  where its cost curves downwards. In matrix-free solves they are found by Lanczos: with the Ritz
  pairs (theta, q) of value below zero, `H + sum |theta| q q'`, which is exact for players of at
  most `lanczos` numbers.

Kronecker and gram blocks of players that are networks are in `ocngame.solvers.players.network_own`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from ocngame._checks import in_range, integer, positive
from ocngame.games import GamePoint, PlayerGame
from ocngame.games.player_calls import PlayerNetwork
from ocngame.solvers.players.own_block import DiagonalBlock, OwnBlock

__all__ = ["DiagonalOwn", "FullOwn", "IdentityOwn", "OwnCurvature", "OwnReading"]


@dataclass(frozen=True, kw_only=True)
class OwnReading:
    """What a step knows when it asks for own blocks.

    Attributes:
        point: The game where it is played.
        batch: What the costs were given.
        networks: Networks by the number of their player, where the rule has asked for them.
        damping: lambda of the step's first move.
        weights: Weights of the costs in cooperative play, None in others.
    """

    point: GamePoint
    batch: tuple[Any, ...] = ()
    networks: Mapping[int, PlayerNetwork] = field(default_factory=dict)
    damping: float = 0.0
    weights: Tensor | None = None

    @property
    def slope(self) -> Tensor:
        """The players' own gradients, shape (m,)."""
        return self.point.own_gradient


class OwnCurvature(ABC):
    """Rule for the own blocks of the stage game.

    Attributes:
        lanczos: Products per player that look for negative eigenvalues of its Hessian.
        needs_damping: Whether the blocks are singular without damping.
        hessians: Whether the Hessians stand for themselves.
    """

    lanczos: int = 0
    needs_damping: ClassVar[bool] = False
    hessians: ClassVar[bool] = False

    def networks(self, game: PlayerGame) -> dict[int, PlayerNetwork]:
        """Give the networks whose calls the rule reads, by the number of their player."""
        return {}

    def init(self, game: PlayerGame, networks: Mapping[int, PlayerNetwork]) -> dict[str, Tensor]:
        """Give the first state of the rule."""
        return {}

    def update(self, state: dict[str, Tensor], reading: OwnReading) -> dict[str, Tensor]:
        """Give the state after another step."""
        return state

    @abstractmethod
    def blocks(self, state: dict[str, Tensor], reading: OwnReading) -> list[OwnBlock] | None:
        """Give what stands for every player's own block, or None for the Hessians."""


@dataclass(frozen=True, kw_only=True)
class IdentityOwn(OwnCurvature):
    """A multiple of the identity.

    Attributes:
        step: The step that a player would make alone, per unit of gradient.
    """

    step: float = 0.1

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("step", self.step)

    def blocks(self, state: dict[str, Tensor], reading: OwnReading) -> list[OwnBlock]:
        """Give `1 / step` everywhere."""
        return _diagonals(torch.full_like(reading.slope, 1 / self.step), reading)


@dataclass(frozen=True, kw_only=True)
class DiagonalOwn(OwnCurvature):
    """Root mean square of the own gradients.

    Attributes:
        step: Step per unit of preconditioned gradient.
        decay: Memory of the average, in [0, 1).
        epsilon: Added to the root.
    """

    step: float = 1e-3
    decay: float = 0.99
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("step", self.step)
        in_range("decay", self.decay, low=0.0, high=1.0, high_open=True)
        positive("epsilon", self.epsilon)

    def init(self, game: PlayerGame, networks: Mapping[int, PlayerNetwork]) -> dict[str, Tensor]:
        """Start the average at zero."""
        return {
            "square": torch.zeros_like(game.control),
            "count": torch.zeros((), dtype=torch.float64),
        }

    def update(self, state: dict[str, Tensor], reading: OwnReading) -> dict[str, Tensor]:
        """Take the squares of the own gradients into the average."""
        square = self.decay * state["square"] + (1 - self.decay) * reading.slope**2
        return {"square": square, "count": state["count"] + 1}

    def blocks(self, state: dict[str, Tensor], reading: OwnReading) -> list[OwnBlock]:
        """Give the bias-corrected root."""
        return _diagonals(self.diagonal(state), reading)

    def diagonal(self, state: dict[str, Tensor]) -> Tensor:
        """Give the diagonal of all players.

        Args:
            state: After at least one step.

        Returns:
            Shape (m,).
        """
        correction = 1 - self.decay ** float(state["count"])
        return ((state["square"] / correction).sqrt() + self.epsilon) / self.step


@dataclass(frozen=True, kw_only=True)
class FullOwn(OwnCurvature):
    """The Hessian of the own cost, its negative eigenvalues taken out.

    Attributes:
        lanczos: Products that look for negative eigenvalues in a matrix-free solve, per player.
    """

    hessians: ClassVar[bool] = True

    lanczos: int = 8

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("lanczos", self.lanczos, low=0)

    def blocks(self, state: dict[str, Tensor], reading: OwnReading) -> None:
        """Give None: the Hessians stand for themselves."""
        return


def _diagonals(joint: Tensor, reading: OwnReading) -> list[OwnBlock]:
    return [DiagonalBlock(joint[block]) for block in reading.point.game.control_slices]
