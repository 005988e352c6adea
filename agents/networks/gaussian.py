r"""Continuous actions: a Gaussian whose spread is the same in every state.

Outputs are `[mu, log sigma]`, m numbers each; the network gives mu, log sigma is a free parameter.
A choice `u ~ N(mu, diag(sigma^2))` becomes an action in the world's box [low, high] by

    clip:  low + (high - low) (1 + clamp(u, -1, 1)) / 2
    tanh:  low + (high - low) (1 + tanh(u)) / 2

Densities are those of u: the Jacobian of the second map does not depend on the policy and cancels
from the ratio of two policies. With `z = (u - mu) / sigma`,

    log p = -sum (z^2 / 2 + log sigma + log(2 pi) / 2)
    entropy = sum (log sigma + log(2 pi e) / 2)
    KL(0 || 1) = sum (log (sigma_1 / sigma_0) - 1/2 + (sigma_0^2 + (mu_0 - mu_1)^2) / (2 sigma_1^2))

and the Fisher matrix in `[mu, log sigma]` is `diag(1 / sigma^2, 2)`.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ocngame.agents.networks.head import Head
from ocngame.curvature import OutputHessian

__all__ = ["GaussianHead"]

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class GaussianHead(Head):
    """A Gaussian in a box."""

    def __init__(self, low: Tensor, high: Tensor, squash: Literal["clip", "tanh"]):
        """Keep the box.

        Args:
            low: Shape (m,).
            high: Shape (m,).
            squash: How a choice is brought into the box.
        """
        self.size = self.free = len(low)
        self._low, self._high, self._squash = low, high, squash

    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw u; see `Head.draw`."""
        mean, log_std = outputs.chunk(2, -1)
        noise = torch.empty_like(mean).normal_(generator=generator)
        return mean + log_std.exp() * noise

    def most_probable(self, outputs: Tensor) -> Tensor:
        """Give mu; see `Head.most_probable`."""
        return outputs.chunk(2, -1)[0]

    def to_world(self, choice: Tensor) -> Tensor:
        """Bring u into the box; see `Head.to_world`."""
        unit = choice.tanh() if self._squash == "tanh" else choice.clamp(-1.0, 1.0)
        low, high = self._low.to(choice), self._high.to(choice)
        # Rounding must not leave the box.
        return torch.clamp(low + (high - low) * (0.5 + 0.5 * unit), min=low, max=high)

    def score(self, outputs: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
        """Give the log-density of u and its entropy; see `Head.score`."""
        mean, log_std = outputs.chunk(2, -1)
        z = (choice - mean) * (-log_std).exp()
        log = -(0.5 * z.square() + log_std + _HALF_LOG_TWO_PI).sum(-1)
        return log, (log_std + 0.5 + _HALF_LOG_TWO_PI).sum(-1)

    def divergence(self, before: Tensor, after: Tensor) -> Tensor:
        """Give the divergence of u; see `Head.divergence`."""
        (mean, log_std), (other, log_other) = before.chunk(2, -1), after.chunk(2, -1)
        spread = (2 * log_std).exp() + (mean - other).square()
        return (log_other - log_std + 0.5 * spread * (-2 * log_other).exp() - 0.5).sum(-1)

    def fisher(self) -> OutputHessian:
        """Give `diag(1 / sigma^2, 2)`."""
        return _GaussianFisher()


@dataclass(frozen=True)
class _GaussianFisher(OutputHessian):
    def root(self, output: Tensor, right: Tensor) -> Tensor:
        log_std = output.detach().chunk(2, -1)[1]
        scale = torch.cat([(-log_std).exp(), torch.full_like(log_std, math.sqrt(2.0))], -1)
        return scale * right
