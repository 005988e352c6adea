"""Trainers: a network with what makes its steps, one interface for all optimizers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

StepFunction = Callable[[], Any]


@dataclass
class Trainer(ABC):
    """A network in training.

    Attributes:
        model: The network.
        loss: Its loss, a function of output and target.
    """

    model: nn.Module
    loss: nn.Module

    @abstractmethod
    def step(self, x: Tensor, y: Tensor) -> float:
        """Make one step on a batch and give the batch's loss before it."""

    @abstractmethod
    def state(self) -> Any:
        """Give everything that the optimizer keeps from step to step."""

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Let the network be what it would be if training ended here."""
        self.model.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.model.train()


@dataclass
class GradientTrainer(Trainer):
    """Steps of one or more torch optimizers from the gradients of one backward pass.

    Attributes:
        optimizers: They share the parameters out between them.
        steps: Length of the cosine schedule; None for constant learning rates.
        before: Called between the backward pass and the optimizers.
    """

    optimizers: Sequence[torch.optim.Optimizer]
    steps: int | None
    before: StepFunction = lambda: None

    def __post_init__(self) -> None:
        self.schedules = (
            []
            if self.steps is None
            else [CosineAnnealingLR(optimizer, self.steps) for optimizer in self.optimizers]
        )

    def step(self, x: Tensor, y: Tensor) -> float:
        self.model.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.before()
        for optimizer in self.optimizers:
            optimizer.step()
        for schedule in self.schedules:
            schedule.step()
        return float(loss.detach())

    def state(self) -> Any:
        return [optimizer.state for optimizer in self.optimizers]


@dataclass
class AveragingTrainer(GradientTrainer):
    """Steps of an optimizer that evaluates an average of the weights."""

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        for optimizer in self.optimizers:
            getattr(optimizer, "eval")()  # noqa: B009 - torch's class does not declare it
        try:
            with super().evaluating():
                yield
        finally:
            for optimizer in self.optimizers:
                getattr(optimizer, "train")()  # noqa: B009


def state_bytes(state: Any) -> int:
    """Count the bytes of all tensors in nested containers and plain objects, each once."""
    storages: dict[int, int] = {}
    visited: set[int] = set()
    waiting = [state]
    while waiting:
        item = waiting.pop()
        if id(item) in visited:
            continue
        visited.add(id(item))
        if isinstance(item, Tensor):
            storage = item.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        elif isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, (list, tuple)):
            waiting += item
        elif isinstance(getattr(item, "__dict__", None), dict) and not isinstance(item, nn.Module):
            waiting += vars(item).values()  # Shampoo's preconditioners are such objects
    return sum(storages.values())
