"""One pass of a network through a minibatch: step by step, or through whole sequences.

A pass is the module whose one call the optimizer sees: the network's game. The samples of the game
are the first axis of what it gives and of all that its layers give. Rows and steps have them first
as they lie; of sequences `[T, B, A, ...]` the copies are the samples, and the steps of a sequence
are uses of the same controls.
"""

from abc import ABC, abstractmethod
from typing import no_type_check

from torch import Tensor, nn

from ocngame.agents.networks import Critic, Policy

__all__ = ["Pass", "SequencePass", "StepPass"]


class Pass(nn.Module, ABC):
    """Runs a network.

    Attributes:
        network: The network.
    """

    def __init__(self, network: Policy | Critic):
        """Keep the network.

        Args:
            network: The network.
        """
        super().__init__()
        self.network = network

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor | None, memory: Tensor, over: Tensor) -> Tensor:
        """Run.

        Args:
            x: Inputs of the body, as they lie.
            mask: Allowed actions, likewise; None where all are.
            memory: [B, A, H], before the first step.
            over: [T, B], bool.

        Returns:
            Outputs, samples first.
        """

    @abstractmethod
    def turned(self, values: Tensor) -> Tensor:
        """Bring samples first, or back to where they lie.

        Args:
            values: As samples lie, or with samples first.

        Returns:
            The other.
        """


class StepPass(Pass):
    """Runs a network that remembers nothing on samples `[M, ...]` or `[M, A, ...]`."""

    @no_type_check  # It is traced with proxies.
    def forward(self, x: Tensor, mask: Tensor | None, memory: Tensor, over: Tensor) -> Tensor:
        """Run; memory and episodes are of no consequence; see `Pass.forward`."""
        return self.network(x, mask)

    def turned(self, values: Tensor) -> Tensor:
        """Give the values as they are; see `Pass.turned`."""
        return values


class SequencePass(Pass):
    """Runs a network through sequences `[T, B, A, ...]`; its outputs are `[B, T, A, P]`."""

    @no_type_check  # It is traced with proxies.
    def forward(self, x: Tensor, mask: Tensor | None, memory: Tensor, over: Tensor) -> Tensor:
        """Run; see `Pass.forward`."""
        outputs, _ = self.network.body.sequence(x, memory, over)
        allowed = None if mask is None else mask.transpose(0, 1)
        return self.network.read(outputs.transpose(0, 1), allowed)

    def turned(self, values: Tensor) -> Tensor:
        """Exchange steps and copies; see `Pass.turned`."""
        return values.transpose(0, 1)
