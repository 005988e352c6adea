"""The two networks of a self-play agent: a policy of what its player sees, a critic of it all."""

from dataclasses import dataclass
from typing import no_type_check

import torch
from torch import Tensor, nn

from ocngame._checks import integer
from ocngame.curvature import CrossEntropyHessian, OutputHessian

__all__ = ["Allowed", "ScaledFisher", "masked_log_softmax", "perceptron"]


class Allowed(nn.Module):
    """A policy's logits, those of actions that are not allowed far below the others."""

    def __init__(self, policy: nn.Module):
        """Keep the policy.

        Args:
            policy: Logits [.., A] of observations.
        """
        super().__init__()
        self.policy = policy

    @no_type_check  # It is traced with proxies.
    def forward(self, observations: Tensor, mask: Tensor) -> Tensor:
        """Give the logits.

        Args:
            observations: [.., O].
            mask: [.., A], bool, with an allowed action in every row.

        Returns:
            [.., A].
        """
        return torch.where(mask, self.policy(observations), -1e9)


@dataclass(frozen=True, kw_only=True)
class ScaledFisher(OutputHessian):
    """Multiple of the Fisher matrix `diag(p) - p p'` of a softmax.

    Attributes:
        scale: The multiple.
    """

    scale: float

    def root(self, output: Tensor, right: Tensor) -> Tensor:
        """Give its factor times vectors; see `OutputHessian.root`."""
        return self.scale**0.5 * CrossEntropyHessian().root(output, right)


def perceptron(
    inputs: int, width: int, depth: int, outputs: int, generator: torch.Generator
) -> nn.Sequential:
    """Make a network whose first outputs are zero.

    Hidden weights are orthogonal with gain sqrt(2), so that signals keep their size through
    rectifiers; zero outputs make the first policy uniform and the first values 0.

    Args:
        inputs: Numbers in.
        width: Units of the hidden layers.
        depth: Hidden layers.
        outputs: Numbers out.
        generator: For the weights.

    Returns:
        The network.
    """
    for name, size in (("inputs", inputs), ("width", width), ("outputs", outputs)):
        integer(name, size, low=1)
    integer("depth", depth, low=1)
    layers: list[nn.Module] = []
    for _ in range(depth):
        layer = nn.Linear(inputs, width)
        nn.init.orthogonal_(layer.weight, gain=2**0.5, generator=generator)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
        inputs = width
    head = nn.Linear(inputs, outputs)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return nn.Sequential(*layers, head)


def masked_log_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Give log probabilities of the allowed actions, and a large negative number for others.

    Args:
        logits: Shape (..., A).
        mask: Allowed actions, bool, shape (..., A); a row without any counts as one with all.

    Returns:
        Shape (..., A); finite, so that products with zero probabilities are 0.
    """
    mask = mask | ~mask.any(-1, keepdim=True)
    return logits.masked_fill(~mask, -1e9).log_softmax(-1)
