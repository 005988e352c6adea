"""Who moves a network's parameters: the face that Adam and OCNOpt share for learning agents."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["AdamDescent", "Descent"]

_log = logging.getLogger(__name__)


class Descent(ABC):
    """Makes steps.

    Attributes:
        refused: Steps that were not made because a number was not finite.
    """

    refused: int = 0

    @abstractmethod
    def step(self, closure: Callable[[], Tensor], weight: Tensor | None = None) -> bool:
        """Make a step.

        Args:
            closure: Runs the network once and gives the loss, with its graph.
            weight: Of the outputs' positions in the loss, samples first; None where all are alike.

        Returns:
            Whether the step was made; one with non-finite numbers leaves everything as it was.
        """

    @abstractmethod
    def scale(self, factor: float) -> None:
        """Scale all steps from now on.

        Args:
            factor: Of the length in the settings.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave.

        Args:
            state: It.
        """


class AdamDescent(Descent):
    """Adam with a bound on the norm of the gradient."""

    def __init__(self, network: nn.Module, *, lr: float, clip_gradient: float):
        """Take a network's parameters.

        Args:
            network: The network.
            lr: Learning rate.
            clip_gradient: Largest norm of a gradient; 0 for no limit.
        """
        self._parameters = list(network.parameters())
        self._lr, self._clip = lr, clip_gradient
        self._optimizer = torch.optim.Adam(self._parameters, lr=lr, eps=1e-5, fused=True)

    def step(self, closure: Callable[[], Tensor], weight: Tensor | None = None) -> bool:
        """Make a step; see `Descent.step`."""
        self._optimizer.zero_grad()
        closure().backward()
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if not bool(torch.isfinite(norm)):
            self.refused += 1
            _log.warning("step refused: the gradient is not finite; nothing was changed")
            return False
        if self._clip > 0:
            torch.nn.utils.clip_grads_with_norm_(self._parameters, self._clip, norm)
        self._optimizer.step()
        return True

    def scale(self, factor: float) -> None:
        """Scale the learning rate; see `Descent.scale`."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._lr * factor

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on."""
        return {"optimizer": self._optimizer.state_dict(), "refused": self.refused}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave; see `Descent.load_state_dict`."""
        self._optimizer.load_state_dict(state["optimizer"])
        self.refused = state["refused"]
