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
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import in_range, integer, positive

__all__ = ["DiagonalOwn", "FullOwn", "IdentityOwn", "OwnCurvature"]


class OwnCurvature(ABC):
    """Rule for the own blocks of the stage game.

    Attributes:
        lanczos: Products per player that look for negative eigenvalues of its Hessian.
    """

    lanczos: int = 0

    @abstractmethod
    def init(self, size: int, like: Tensor) -> dict[str, Tensor]:
        """Give the first state of the rule for a joint control of this size."""

    @abstractmethod
    def update(self, state: dict[str, Tensor], slope: Tensor) -> dict[str, Tensor]:
        """Give the state after the own gradients of another step."""

    @abstractmethod
    def diagonal(self, state: dict[str, Tensor], slope: Tensor) -> Tensor | None:
        """Give the diagonal that stands for all own blocks, or None for the Hessians."""


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

    def init(self, size: int, like: Tensor) -> dict[str, Tensor]:
        """Give no state."""
        return {}

    def update(self, state: dict[str, Tensor], slope: Tensor) -> dict[str, Tensor]:
        """Give the state back."""
        return state

    def diagonal(self, state: dict[str, Tensor], slope: Tensor) -> Tensor:
        """Give `1 / step` everywhere."""
        return torch.full_like(slope, 1 / self.step)


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

    def init(self, size: int, like: Tensor) -> dict[str, Tensor]:
        """Start the average at zero."""
        return {"square": like.new_zeros(size), "count": torch.zeros((), dtype=torch.float64)}

    def update(self, state: dict[str, Tensor], slope: Tensor) -> dict[str, Tensor]:
        """Take the squares of the own gradients into the average."""
        square = self.decay * state["square"] + (1 - self.decay) * slope**2
        return {"square": square, "count": state["count"] + 1}

    def diagonal(self, state: dict[str, Tensor], slope: Tensor) -> Tensor:
        """Give the bias-corrected root."""
        correction = 1 - self.decay ** float(state["count"])
        return ((state["square"] / correction).sqrt() + self.epsilon) / self.step


@dataclass(frozen=True, kw_only=True)
class FullOwn(OwnCurvature):
    """The Hessian of the own cost, its negative eigenvalues taken out.

    Attributes:
        lanczos: Products that look for negative eigenvalues in a matrix-free solve, per player.
    """

    lanczos: int = 8

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("lanczos", self.lanczos, low=0)

    def init(self, size: int, like: Tensor) -> dict[str, Tensor]:
        """Give no state."""
        return {}

    def update(self, state: dict[str, Tensor], slope: Tensor) -> dict[str, Tensor]:
        """Give the state back."""
        return state

    def diagonal(self, state: dict[str, Tensor], slope: Tensor) -> None:
        """Give None: the Hessians stand for themselves."""
        return
