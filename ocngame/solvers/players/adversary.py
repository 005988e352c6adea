r"""The adversary of a network: a player whose control is the input, at the stage before the first.

The value of the state there is the loss that the network makes of it. One backward pass of the
gradient and of the columns E of the output Hessian (`phi_yy = E E'`, `ocngame.curvature`) gives its
expansion in Gauss-Newton form, per sample,

    V(x + d) = V + v_x' d + 1/2 d' V_xx d,      V_xx = Z Z',   Z = (dy/dx)' E

and the adversary's stage problem is its maximum over the ball. V is convex in d, so that every
linearisation bounds it from below, and

    d <- argmax over the ball of (v_x + Z Z' d_before)' d

never lowers it (the generalised power method; Journee et al., 0811.4724, theorem 1): no further
backward pass is needed. It starts at the maximiser of the linear part, which is the fast gradient
sign move. With a `reach` the maximum is over the part of the ball within that distance of the
point where V was expanded. Several stages repeat this about the point reached, projected on the
ball; among their ends and the start the worst for the network is kept.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ocngame._checks import integer, positive
from ocngame.curvature import OutputHessian, output_hessian
from ocngame.games.perturbation import PerturbationBall

__all__ = ["InputAdversary"]


@dataclass(frozen=True, kw_only=True)
class InputAdversary:
    """Settings of the adversary.

    Attributes:
        ball: The perturbations it may choose from.
        stages: Moves, each with one expansion.
        inner: Steps of the power method per stage, none of which needs a backward pass; 0: the
            linear part alone.
        reach: Most that a stage's move may cover, in radii of the ball; None: all of the ball.
    """

    ball: PerturbationBall
    stages: int = 1
    inner: int = 4
    reach: float | None = None

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("stages", self.stages, low=1)
        integer("inner", self.inner, low=0)
        if self.reach is not None:
            positive("reach", self.reach)

    def perturb(
        self,
        model: nn.Module,
        loss: nn.Module,
        x: Tensor,
        y: Tensor,
        *,
        start: Tensor | None = None,
        hessian: OutputHessian | None = None,
    ) -> Tensor:
        """Choose a perturbation of every sample.

        Args:
            model: The network; its parameters' gradients stay as they are.
            loss: Mean loss of (output, target).
            x: Inputs, shape (B, ...).
            y: Targets; for cross-entropy class numbers or, shape (B, C), probabilities.
            start: First perturbations, zero if None.
            hessian: Output Hessian, for losses that are not known.

        Returns:
            Perturbations in the ball, shape (B, ...).
        """
        factor = hessian
        if factor is None and self.inner > 0:
            factor = output_hessian(loss)
        point = torch.zeros_like(x) if start is None else self.ball.project(start, x)
        best, worst = point, None
        for _ in range(self.stages):
            slope, columns, losses = self._expand(model, loss, factor, x + point, y)
            best, worst = _worse(best, worst, point, losses)
            point = self._maximise(slope, columns, point, x)
        if self.stages > 1:
            with torch.no_grad():
                losses = _losses(loss, model(x + point), y)
            best, _ = _worse(best, worst, point, losses)
            return best
        return point

    def _expand(
        self,
        model: nn.Module,
        loss: nn.Module,
        factor: OutputHessian | None,
        x: Tensor,
        y: Tensor,
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Give v_x (B, ...), Z (C, B, ...) and the losses (B,)."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            output = model(x)
            losses = _losses(loss, output, y)
            (slope,) = torch.autograd.grad(losses.sum(), x, retain_graph=factor is not None)
            columns = None
            if factor is not None and self.inner > 0:
                roots = factor.exact(output.detach())
                (columns,) = torch.autograd.grad(output, x, roots, is_grads_batched=True)
        return slope, columns, losses.detach()

    def _maximise(self, slope: Tensor, columns: Tensor | None, point: Tensor, x: Tensor) -> Tensor:
        """Maximise the expansion about a point over the ball about zero."""
        reached = self._farthest(slope, point, x)
        if columns is None:
            return reached
        flat = columns.flatten(2)
        for _ in range(self.inner):
            inner = torch.einsum("cbd,bd->cb", flat, (reached - point).flatten(1))
            ahead = slope + torch.einsum("cbd,cb->bd", flat, inner).view_as(slope)
            reached = self._farthest(ahead, point, x)
        return reached

    def _farthest(self, slope: Tensor, point: Tensor, x: Tensor) -> Tensor:
        """Give where a linear function is largest within reach of a point."""
        move = self.ball.steepest(slope)
        return self.ball.project(move if self.reach is None else point + self.reach * move, x)


def _losses(loss: nn.Module, output: Tensor, y: Tensor) -> Tensor:
    """Give every sample's own loss, shape (B,)."""
    if type(loss) is nn.CrossEntropyLoss and loss.weight is None and loss.label_smoothing == 0:
        return nn.functional.cross_entropy(output, y, reduction="none")
    pairs = zip(output, y, strict=True)
    return torch.stack([loss(o.unsqueeze(0), t.unsqueeze(0)) for o, t in pairs])


def _worse(
    best: Tensor, worst: Tensor | None, point: Tensor, losses: Tensor
) -> tuple[Tensor, Tensor]:
    """Keep, sample by sample, the perturbation with the larger loss."""
    if worst is None:
        return point, losses
    higher = losses > worst
    mask = higher.view(-1, *[1] * (point.ndim - 1))
    return torch.where(mask, point, best), torch.where(higher, losses, worst)
