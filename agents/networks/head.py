"""From the outputs of a policy network to actions: the face of all action distributions.

A head owns no parameter. What a network gives per agent, `outputs [..., P]`, are the parameters of
the distribution; what is drawn, the `choice`, is kept as drawn and only turned into the world's
units at the world's door, so that log-probabilities are those of what was drawn.
"""

from abc import ABC, abstractmethod
from typing import no_type_check

import torch
from torch import Tensor

from ocngame.curvature import OutputHessian

__all__ = ["Head"]


class Head(ABC):
    """An action distribution of one group.

    Attributes:
        size: Numbers that the network itself gives per agent.
        free: Numbers that are the same in every state, parameters beside the network: none, or as
            many as the network gives.
    """

    size: int
    free: int = 0

    @no_type_check  # It is traced with proxies.
    def allow(self, outputs: Tensor, mask: Tensor | None) -> Tensor:
        """Take the probability of actions that are not allowed away.

        Args:
            outputs: [..., P].
            mask: [..., k], bool, True where allowed; None where all are.

        Returns:
            Outputs of the distribution over the allowed actions.
        """
        return outputs

    @abstractmethod
    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a choice.

        Args:
            outputs: [..., P].
            generator: For the draws.

        Returns:
            The choice.
        """

    @abstractmethod
    def most_probable(self, outputs: Tensor) -> Tensor:
        """Give the most probable choice.

        Args:
            outputs: [..., P].

        Returns:
            The choice.
        """

    def to_world(self, choice: Tensor) -> Tensor:
        """Turn a choice into an action of the world.

        Args:
            choice: As `draw` gave it.

        Returns:
            The action.
        """
        return choice

    @abstractmethod
    def score(self, outputs: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
        """Give the log-probability, or log-density, of a choice, and the entropy.

        Args:
            outputs: [..., P].
            choice: As `draw` gave it.

        Returns:
            Both [...].
        """

    @abstractmethod
    def divergence(self, before: Tensor, after: Tensor) -> Tensor:
        """Give the Kullback-Leibler divergence of two distributions, `KL(before || after)`.

        Args:
            before: Outputs [..., P].
            after: Outputs [..., P].

        Returns:
            [...].
        """

    @abstractmethod
    def fisher(self) -> OutputHessian:
        """Give the Fisher matrix of the distribution in its outputs, as a factor.

        Returns:
            The second derivative of `divergence` in `after` at `after = before`.
        """
