"""Contenders: optimizers that train copies of one network side by side."""

import copy
import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from ocngame.errors import NonFiniteError
from ocngame.games.continuous import solver_errors
from ocngame.solvers.ocnopt import OCNOpt, OCNOptConfig
from ocngame.training.config import OCNOptSettings, SupervisedConfig

__all__ = ["Contender", "OCNOptContender", "StepResult", "TorchContender", "make_contenders"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What a contender says of one step.

    Attributes:
        loss: Batch loss before the step.
        accepted: Whether the controls moved; a step with non-finite numbers is refused.
        details: Numbers of its own (step length, damping, learning rate ...).
    """

    loss: float
    accepted: bool
    details: dict[str, float]


class Contender(ABC):
    """A network and the optimizer that trains it.

    Attributes:
        name: Its name in tables and logs.
        model: Its network.
        cpu_seconds: Processor time of its steps so far.
        refused: Number of its steps that were refused.
    """

    def __init__(self, name: str, model: nn.Module):
        """Start the counts.

        Args:
            name: Its name.
            model: Its network.
        """
        self.name = name
        self.model = model
        self.cpu_seconds = 0.0
        self.refused = 0

    def step(self, x: Tensor, y: Tensor) -> StepResult:
        """Make one step and count its processor time.

        Args:
            x: Features of the batch, shape (B, features).
            y: Class numbers, shape (B,).

        Returns:
            What happened.
        """
        start = time.process_time()
        result = self._step(x, y)
        self.cpu_seconds += time.process_time() - start
        self.refused += not result.accepted
        return result

    @abstractmethod
    def _step(self, x: Tensor, y: Tensor) -> StepResult: ...

    @abstractmethod
    def _parts(self) -> dict[str, Any]:
        """Everything besides the network that has a state dictionary."""

    def state_dict(self) -> dict[str, Any]:
        """Give everything that the next step depends on, and the counts."""
        return {
            "model": self.model.state_dict(),
            "cpu_seconds": self.cpu_seconds,
            "refused": self.refused,
            **{name: part.state_dict() for name, part in self._parts().items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Args:
            state: What `state_dict` gave.
        """
        self.model.load_state_dict(state["model"])
        self.cpu_seconds = state["cpu_seconds"]
        self.refused = state["refused"]
        for name, part in self._parts().items():
            part.load_state_dict(state[name])


class OCNOptContender(Contender):
    """OCNOpt."""

    def __init__(self, model: nn.Module, settings: OCNOptSettings):
        """Make the game of a network.

        Args:
            model: The network.
            settings: Settings of OCNOpt.
        """
        super().__init__("ocnopt", model)
        config = OCNOptConfig.with_feedback(settings.feedback)
        self.optimizer = OCNOpt(
            model, lr=settings.lr, weight_decay=settings.weight_decay, config=config
        )

    def _step(self, x: Tensor, y: Tensor) -> StepResult:
        info = self.optimizer.step(x, y)
        details = info.as_dict()
        del details["loss"], details["accepted"]
        return StepResult(loss=info.loss, accepted=info.accepted, details=details)

    def _parts(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer}


class TorchContender(Contender):
    """A first-order optimizer of torch with a learning-rate schedule."""

    def __init__(
        self,
        name: str,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: LRScheduler | None,
        loss: nn.Module | None = None,
    ):
        """Keep the parts.

        Args:
            name: Its name.
            model: The network.
            optimizer: Optimizer of its parameters.
            schedule: Schedule of the optimizer, or None.
            loss: Mean loss of (output, target); cross-entropy if None.
        """
        super().__init__(name, model)
        self.optimizer = optimizer
        self.schedule = schedule
        self._loss = loss if loss is not None else nn.CrossEntropyLoss()

    def _step(self, x: Tensor, y: Tensor) -> StepResult:
        self.optimizer.zero_grad()
        try:
            with solver_errors():
                loss = self._loss(self.model(x), y)
                loss.backward()
        except NonFiniteError as error:
            _log.warning("step of %s refused (%s); controls are unchanged", self.name, error)
            return StepResult(loss=math.nan, accepted=False, details={})
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        sums = torch.stack([loss.detach(), *(g.sum() for g in gradients)])
        accepted = bool(torch.isfinite(sums).all())
        details = {"lr": float(self.optimizer.param_groups[0]["lr"])}
        if accepted:
            self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        return StepResult(loss=float(loss.detach()), accepted=accepted, details=details)

    def _parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"optimizer": self.optimizer}
        return parts if self.schedule is None else parts | {"schedule": self.schedule}


def make_contenders(config: SupervisedConfig, network: nn.Module, steps: int) -> list[Contender]:
    """Give every optimizer of the settings its own copy of a network.

    Args:
        config: Settings of the job.
        network: The network with its first weights.
        steps: Number of steps of the whole run.

    Returns:
        The contenders in the order of the settings.
    """

    def first_order(name: str, make: Callable[[Any], torch.optim.Optimizer]) -> TorchContender:
        model = copy.deepcopy(network)
        optimizer = make(model.parameters())
        cosine = config.schedule == "cosine"
        schedule = CosineAnnealingLR(optimizer, steps) if cosine else None
        return TorchContender(name, model, optimizer, schedule)

    adam, sgd = config.adam, config.sgd
    makers: dict[str, Callable[[], Contender]] = {
        "ocnopt": lambda: OCNOptContender(copy.deepcopy(network), config.ocnopt),
        "adam": lambda: first_order("adam", lambda p: torch.optim.Adam(p, lr=adam.lr)),
        "sgd": lambda: first_order(
            "sgd", lambda p: torch.optim.SGD(p, lr=sgd.lr, momentum=sgd.momentum)
        ),
    }
    return [makers[name]() for name in config.optimizers]
