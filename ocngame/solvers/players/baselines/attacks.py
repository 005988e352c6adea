r"""First-order attacks on a network's input, to train against and to compare with.

* fast gradient sign with a random start (Wong, Rice & Kolter, 2001.03994, algorithm 3): one
  step of `1.25 radius` along the steepest direction from a random point of the ball;
* projected gradient (Madry et al., 1706.06083): `steps` such steps of size `size`, from `restarts`
  random points; the worst end for the network is kept.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ocngame._checks import integer, positive
from ocngame.games.perturbation import PerturbationBall

__all__ = ["FastGradientSign", "ProjectedGradient"]


@dataclass(frozen=True, kw_only=True)
class ProjectedGradient:
    """Projected gradient ascent on the cross-entropy.

    Attributes:
        ball: The perturbations it may choose from.
        steps: Steps from each start.
        size: Length of a step; `2.5 radius / steps` if None.
        restarts: Random starts.
    """

    ball: PerturbationBall
    steps: int = 10
    size: float | None = None
    restarts: int = 1

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("steps", self.steps, low=1)
        integer("restarts", self.restarts, low=1)
        if self.size is not None:
            positive("size", self.size)

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """Choose a perturbation of every sample.

        Args:
            model: A classifier.
            x: Inputs, shape (B, ...).
            y: Class numbers, shape (B,).
            generator: Draws the starts.

        Returns:
            Perturbations in the ball, shape (B, ...).
        """
        best, worst = torch.zeros_like(x), torch.full((len(x),), -torch.inf).to(x)
        for _ in range(self.restarts):
            point = self.ball.random(x, generator)
            for _ in range(self.steps):
                point = self._step(model, x, y, point)
            with torch.no_grad():
                losses = cross_entropy(model(x + point), y, reduction="none")
            higher = losses > worst
            best = torch.where(higher.view(-1, *[1] * (x.ndim - 1)), point, best)
            worst = torch.where(higher, losses, worst)
        return best

    def _step(self, model: nn.Module, x: Tensor, y: Tensor, point: Tensor) -> Tensor:
        size = 2.5 * self.ball.radius / self.steps if self.size is None else self.size
        with torch.enable_grad():
            moved = (x + point).detach().requires_grad_()
            (slope,) = torch.autograd.grad(cross_entropy(model(moved), y, reduction="sum"), moved)
        step = self.ball.steepest(slope) * (size / self.ball.radius)
        return self.ball.project(point + step, x)


class FastGradientSign(ProjectedGradient):
    """One step of `1.25 radius` from a random point."""

    def __init__(self, *, ball: PerturbationBall):
        """Take a ball.

        Args:
            ball: The perturbations it may choose from.
        """
        super().__init__(ball=ball, steps=1, size=1.25 * ball.radius)
