r"""The rule for parameters that no stage covers: Adam's step at a fixed rate.

    m <- beta_1 m + (1 - beta_1) g,    v <- beta_2 v + (1 - beta_2) g^2
    move = -rate (m / (1 - beta_1^k)) / (sqrt(v / (1 - beta_2^k)) + eps)

(Kingma & Ba, 2015, algorithm 1). The optimizer's learning rate, 1 by default, scales the move as it
scales the moves of the stages.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import in_range, positive

__all__ = ["FallbackRule"]


@dataclass(frozen=True, kw_only=True)
class FallbackRule:
    """Adam's step.

    Attributes:
        rate: Length of the step.
        beta_1: Memory of the mean of gradients.
        beta_2: Memory of the mean of their squares.
        eps: Added to the root.
    """

    rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("rate", self.rate)
        in_range("beta_1", self.beta_1, low=0.0, high=1.0, high_open=True)
        in_range("beta_2", self.beta_2, low=0.0, high=1.0, high_open=True)
        positive("eps", self.eps)

    def advance(self, state: dict[str, Tensor], gradient: Tensor) -> dict[str, Tensor]:
        """Take in a gradient.

        Args:
            state: What this gave for the last gradient, or an empty dictionary.
            gradient: The mean gradient.

        Returns:
            The new state; under "last" the move.
        """
        zeros = torch.zeros_like(gradient)
        count = state.get("count", gradient.new_zeros(())) + 1
        mean = state.get("mean", zeros).lerp(gradient, 1 - self.beta_1)
        square = state.get("square", zeros).lerp(gradient.square(), 1 - self.beta_2)
        # In bfloat16 a beta near one would be one.
        first, second = (1 - beta ** count.double() for beta in (self.beta_1, self.beta_2))
        root = (square / second.to(square.dtype)).sqrt() + self.eps
        last = -self.rate * mean / first.to(mean.dtype) / root
        return {"count": count, "mean": mean, "square": square, "last": last}
