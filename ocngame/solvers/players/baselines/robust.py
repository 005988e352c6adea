r"""Robust training as usual: Adam on perturbations that are found anew in every step.

* projected gradient (Madry et al., 1706.06083): cross-entropy at the end of `steps` ascents from a
  random point; with one step of 1.25 radii, fast gradient sign with a random start (Wong, Rice &
  Kolter, 2001.03994);
* TRADES (Zhang et al., 1901.08573, equation 5 and algorithm 1): `CE(f(x), y) + weight KL(p || q)`
  at the end of `steps` ascents of the divergence from a point near the sample.

Weights may be averaged as in `ocngame.solvers.players.robust`, so that both are compared alike.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softmax

from ocngame._checks import integer, non_negative, positive
from ocngame.games.perturbation import PerturbationBall
from ocngame.solvers.players.averaging import IterateAverage
from ocngame.solvers.players.baselines.attacks import FastGradientSign, ProjectedGradient
from ocngame.solvers.players.robust import RobustInfo, divergence

__all__ = ["FastTraining", "ProjectedTraining", "RobustBaseline", "TradesTraining"]


class RobustBaseline(ABC):
    """Adam on a robust cost.

    Attributes:
        model: The classifier; it is moved in place.
        passes: Forward and backward passes of a step.
    """

    passes: int

    def __init__(
        self,
        model: nn.Module,
        samples: Tensor,
        *,
        ball: PerturbationBall,
        lr: float = 3e-3,
        memory: float = 0.0,
        seed: int = 0,
    ):
        """Take a classifier and the samples that it will be trained on.

        Args:
            model: The classifier.
            samples: All training inputs, shape (n, ...); batches name their rows.
            ball: Perturbations.
            lr: Step size of Adam.
            memory: Memory of the averaged network, in [0, 1); 0: the last iterate.
            seed: Seed of the random starts.
        """
        positive("lr", lr)
        self.model, self._samples, self._ball = model, samples, ball
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._adam = torch.optim.Adam(self._parameters, lr=lr)
        self._noise = torch.Generator().manual_seed(seed)
        self._average = IterateAverage(self._parameters, memory=memory)

    def step(self, rows: Tensor, y: Tensor) -> RobustInfo:
        """Make one step.

        Args:
            rows: Numbers of the batch's samples, shape (B,).
            y: Their classes, shape (B,).

        Returns:
            What happened; a step with non-finite numbers is refused.
        """
        clean, gap, cost = self._costs(self._samples[rows], y)
        gradients = torch.autograd.grad(cost, self._parameters)
        sizes = torch.stack([*(g.norm() for g in gradients), cost.detach()])
        accepted = bool(torch.isfinite(sizes).all())
        if accepted:
            for parameter, gradient in zip(self._parameters, gradients, strict=True):
                parameter.grad = gradient
            self._adam.step()
            self._adam.zero_grad()
            self._average.update()
        return RobustInfo(clean=clean, gap=gap, accepted=accepted, passes=self.passes)

    @torch.no_grad()
    def average(self, into: nn.Module) -> None:
        """Write the network that is to be judged into another.

        Args:
            into: A network of the same form.
        """
        into.load_state_dict(self.model.state_dict())
        targets = [p for p in into.parameters() if p.requires_grad]
        for target, value in zip(targets, self._average.values, strict=True):
            target.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on.

        Returns:
            Plain data and tensors.
        """
        return {
            "adam": self._adam.state_dict(),
            "average": self._average.state_dict(),
            "noise": self._noise.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Args:
            state: Plain data and tensors.
        """
        self._adam.load_state_dict(state["adam"])
        self._average.load_state_dict(state["average"])
        self._noise.set_state(state["noise"])

    @abstractmethod
    def _costs(self, x: Tensor, y: Tensor) -> tuple[float, float, Tensor]:
        """Give the cross-entropy, the divergence (NaN if it is not measured) and the cost."""


class ProjectedTraining(RobustBaseline):
    """Adversarial training with projected gradient ascent."""

    def __init__(self, model: nn.Module, samples: Tensor, *, steps: int = 7, **settings: Any):
        """Take a classifier and its samples.

        Args:
            model: The classifier.
            samples: All training inputs.
            steps: Ascents per step.
            **settings: As in `RobustBaseline`.
        """
        super().__init__(model, samples, **settings)
        self._attack = ProjectedGradient(ball=self._ball, steps=steps)
        self.passes = steps + 2

    def _costs(self, x: Tensor, y: Tensor) -> tuple[float, float, Tensor]:
        moved = self._attack.perturb(self.model, x, y, self._noise)
        cost = cross_entropy(self.model(x + moved), y)
        return float(cost.detach()), float("nan"), cost


class FastTraining(ProjectedTraining):
    """Adversarial training with the fast gradient sign move from a random start."""

    def __init__(self, model: nn.Module, samples: Tensor, **settings: Any):
        """Take a classifier and its samples.

        Args:
            model: The classifier.
            samples: All training inputs.
            **settings: As in `RobustBaseline`.
        """
        super().__init__(model, samples, steps=1, **settings)
        self._attack = FastGradientSign(ball=self._ball)


class TradesTraining(RobustBaseline):
    """TRADES."""

    def __init__(
        self,
        model: nn.Module,
        samples: Tensor,
        *,
        steps: int = 7,
        weight: float = 6.0,
        **settings: Any,
    ):
        """Take a classifier and its samples.

        Args:
            model: The classifier.
            samples: All training inputs.
            steps: Ascents of the divergence per step.
            weight: Weight of the divergence.
            **settings: As in `RobustBaseline`.
        """
        integer("steps", steps, low=1)
        non_negative("weight", weight)
        super().__init__(model, samples, **settings)
        self._steps, self._weight = steps, weight
        self.passes = steps + 2

    def _costs(self, x: Tensor, y: Tensor) -> tuple[float, float, Tensor]:
        output = self.model(x)
        natural = softmax(output.detach(), dim=1)
        d = 0.01 * self._ball.random(x, self._noise)
        for _ in range(self._steps):
            moved = (x + d).detach().requires_grad_()
            gap = cross_entropy(self.model(moved), natural, reduction="sum")
            (slope,) = torch.autograd.grad(gap, moved)
            d = self._ball.project(d + self._ball.steepest(slope) * (2.5 / self._steps), x)
        gap = divergence(output, self.model(x + d)).mean()
        clean = cross_entropy(output, y)
        return float(clean.detach()), float(gap.detach()), clean + self._weight * gap
