"""Rivals of a robust run: one network each, from the same start, on the same batches."""

import copy
import time
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from ocngame.games.perturbation import PerturbationBall
from ocngame.solvers.players import RobustConfig, RobustInfo, RobustOpt
from ocngame.solvers.players.baselines import FastTraining, ProjectedTraining, TradesTraining
from ocngame.training.adversarial_config import AdversarialConfig

__all__ = ["RobustRival", "make_robust_rivals"]


_Maker = Callable[[nn.Module], "_Training"]


@runtime_checkable
class _Training(Protocol):
    """What trains a network."""

    def step(self, rows: Tensor, y: Tensor) -> RobustInfo:
        """Make one step."""
        ...

    def average(self, into: nn.Module) -> None:
        """Write the network that is judged."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it back."""
        ...


class RobustRival:
    """A training method with its network.

    Attributes:
        name: The method's name.
        model: The network that is trained.
        cpu_seconds: Processor time of all steps.
        passes: Forward and backward passes over batches so far.
        refused: Steps that were not made.
    """

    def __init__(self, name: str, model: nn.Module, training: _Training):
        """Take a method.

        Args:
            name: Its name.
            model: Its network.
            training: Trains it.
        """
        self.name, self.model, self._training = name, model, training
        self.cpu_seconds, self.passes, self.refused = 0.0, 0, 0

    def step(self, rows: Tensor, y: Tensor) -> RobustInfo:
        """Make one step.

        Args:
            rows: Numbers of the batch's samples, shape (B,).
            y: Their classes, shape (B,).

        Returns:
            What happened.
        """
        before = time.process_time()
        info = self._training.step(rows, y)
        self.cpu_seconds += time.process_time() - before
        self.passes += info.passes
        self.refused += not info.accepted
        return info

    def judged(self) -> nn.Module:
        """Give the network that is judged: the averaged one where the method averages.

        Returns:
            A copy.
        """
        found = copy.deepcopy(self.model)
        self._training.average(found)
        return found

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on.

        Returns:
            Plain data and tensors.
        """
        return {
            "model": self.model.state_dict(),
            "training": self._training.state_dict(),
            "cpu_seconds": self.cpu_seconds,
            "passes": self.passes,
            "refused": self.refused,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Args:
            state: Plain data and tensors.
        """
        self.model.load_state_dict(state["model"])
        self._training.load_state_dict(state["training"])
        for name in ("cpu_seconds", "passes", "refused"):
            setattr(self, name, state[name])


def make_robust_rivals(
    config: AdversarialConfig, model: nn.Module, samples: Tensor, ball: PerturbationBall
) -> list[RobustRival]:
    """Make the rivals of a run.

    Args:
        config: Settings.
        model: The network at the start; copied.
        samples: Training inputs, shape (n, features).
        ball: Perturbations.

    Returns:
        One per method, in the order of the settings.
    """
    lr, seed = config.adam_lr, config.seed
    makers: dict[str, _Maker] = {
        "players": lambda m: RobustOpt(
            m,
            samples,
            config=RobustConfig(ball=ball, lr=lr, stages=config.robust.stages),
            seed=seed,
        ),
        "pgd": lambda m: ProjectedTraining(m, samples, ball=ball, lr=lr, seed=seed),
        "trades": lambda m: TradesTraining(m, samples, ball=ball, lr=lr, seed=seed),
        "fgsm": lambda m: FastTraining(m, samples, ball=ball, lr=lr, seed=seed),
    }
    rivals = []
    for name in config.methods:
        own = copy.deepcopy(model)
        rivals.append(RobustRival(name, own, makers[name](own)))
    return rivals
