r"""Factors `phi_yy = E E'` of the loss Hessian at the network output, as columns.

* softmax cross-entropy: `E = diag(sqrt p) - p sqrt(p)'`, C columns, `E E' = diag(p) - p p'`; with P
  positions per sample (words, pixels), over which the loss is a mean, one such block each, over P;
* squared error `sum (y - t)^2 / C` per sample (torch's mean over entries): `E = sqrt(2/C) I`; a
  Gaussian likelihood of known variance v per entry has the scale `1 / v` in place of `2/C`;
* binary cross-entropy of logits y, mean over entries: `E = diag(sqrt(p (1 - p) / C))`,
  `p = 1 / (1 + exp(-y))`;
* Poisson likelihood of log rates y, mean over entries: `E = diag(sqrt(exp(y) / C))`.

There is an exact column for each entry of a sample's output; a sketch has R columns `E e / sqrt(R)`
with Rademacher e, whose outer products have expectation `E E'`. All columns are per sample: for a
loss that is a mean over samples, they do not carry the factor 1/B.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ocngame.errors import InvalidInputError

__all__ = [
    "BinaryCrossEntropyHessian",
    "CrossEntropyHessian",
    "OutputHessian",
    "PoissonHessian",
    "SquaredErrorHessian",
    "normal_like",
    "output_hessian",
]


class OutputHessian(ABC):
    """The Hessian of a loss with respect to the network output.

    Attributes:
        lower_bound: A number that the loss cannot fall below, None if there is none.
        most_promise: The most that the slope of a damped step in the metric of these columns can
            promise, None if there is no bound.
        of_gradient: Whether the only column is the gradient of a sample's loss.
    """

    lower_bound: ClassVar[float | None] = None
    most_promise: ClassVar[float | None] = None
    of_gradient: ClassVar[bool] = False

    @abstractmethod
    def root(self, output: Tensor, right: Tensor) -> Tensor:
        """Multiply the factor with given vectors, `E right`.

        Args:
            output: Network output, shape (B, ..., C).
            right: Shape (R, B, ..., C).
        """

    def of_batch(self, loss: Tensor, output: Tensor) -> "OutputHessian":
        """Give the Hessian of a batch, where it depends on more than the output.

        Args:
            loss: Mean loss, attached to the graph.
            output: Network output that it was computed from.

        Returns:
            Itself, unless the kind of loss needs more.
        """
        del loss, output
        return self

    def exact(self, output: Tensor) -> Tensor:
        """Give all columns, one for each of the N entries that the output of a sample has.

        Args:
            output: Network output, shape (B, ..., C).

        Returns:
            Shape (N, B, ..., C).
        """
        size = output[0].numel()
        eye = torch.eye(size, dtype=output.dtype, device=output.device)
        return self.root(output, eye.view(size, 1, *output.shape[1:]).expand(size, *output.shape))

    def sketch(self, output: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """Give R Rademacher columns.

        Args:
            output: Network output, shape (B, ..., C).
            count: R.
            generator: Source of the signs; it lives on the CPU.

        Returns:
            Shape (R, B, ..., C).
        """
        signs = torch.randint(0, 2, (count, *output.shape), generator=generator)
        signs = signs.to(output) * 2 - 1
        return self.root(output, signs) / count**0.5

    def sampled(self, output: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """Give R columns that are gradients at targets of the model's own, over the root of R.

        Args:
            output: Network output, shape (B, ..., C).
            count: R.
            generator: Source of the targets; it lives on the CPU.

        Returns:
            Shape (R, B, ..., C).
        """
        wide = output.detach().expand(count, *output.shape)
        return self.own_gradient(wide, generator) * (output[0].numel() * count) ** -0.5

    def own_gradient(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Give the gradient at targets drawn from the model, times the root of the entries' number.

        Args:
            output: Outputs, shape (R, B, ..., C).
            generator: Source of the targets; it lives on the CPU.

        Raises:
            InvalidInputError: if the loss is not known to be a likelihood.
        """
        del output, generator
        raise InvalidInputError(
            "columns: expected a loss that is a likelihood to sample targets from, got "
            f"{type(self).__name__}"
        )


@dataclass(frozen=True)
class CrossEntropyHessian(OutputHessian):
    """Softmax cross-entropy over one dimension of the output, the mean over all others.

    Attributes:
        dim: The dimension of the classes: the last, or 1 as in torch's `CrossEntropyLoss`.
    """

    lower_bound: ClassVar[float | None] = 0.0

    dim: int = -1

    def root(self, output: Tensor, right: Tensor) -> Tensor:
        """Give `(diag(sqrt p) - p sqrt(p)') right`, over the root of the number of positions."""
        dim = self.dim if self.dim < 0 else self.dim - output.ndim
        p = output.detach().softmax(dim)
        scaled = p.sqrt() * right * (p.shape[dim] / p[0].numel()) ** 0.5
        return scaled - p * scaled.sum(dim, keepdim=True)

    def own_gradient(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Give `p - e_c` for a class c drawn from p, times the root of the number of classes."""
        # `output` has the dimension of the columns in front of those that `dim` counts.
        p = output.movedim(self.dim if self.dim < 0 else self.dim + 1, -1).softmax(-1)
        drawn = torch.multinomial(p.flatten(0, -2).cpu(), 1, generator=generator)
        chosen = torch.zeros_like(p).scatter_(-1, drawn.view(*p.shape[:-1], 1).to(p.device), 1.0)
        slope = (p - chosen) * p.shape[-1] ** 0.5
        return slope.movedim(-1, self.dim if self.dim < 0 else self.dim + 1)


@dataclass(frozen=True)
class SquaredErrorHessian(OutputHessian):
    """Squared error, `scale / 2` times the sum of squared entries per sample.

    Attributes:
        scale: Second derivative of the per-sample loss; None for `2 / C`, torch's mean over
            entries.
    """

    lower_bound: ClassVar[float | None] = 0.0

    scale: float | None = None

    def root(self, output: Tensor, right: Tensor) -> Tensor:
        """Give `sqrt(scale) right`."""
        scale = self.scale if self.scale is not None else 2.0 / output[0].numel()
        return right * scale**0.5

    def own_gradient(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Give normal numbers of variance `scale` times the number of entries."""
        scale = self.scale if self.scale is not None else 2.0 / output[0, 0].numel()
        return normal_like(output, generator) * (scale * output[0, 0].numel()) ** 0.5


@dataclass(frozen=True)
class BinaryCrossEntropyHessian(OutputHessian):
    """Binary cross-entropy of logits, the mean over a sample's C entries."""

    lower_bound: ClassVar[float | None] = 0.0

    def root(self, output: Tensor, right: Tensor) -> Tensor:
        """Give `diag(sqrt(p (1 - p) / C)) right`."""
        p = output.detach().sigmoid()
        return (p * (1 - p) / output[0].numel()).sqrt() * right

    def own_gradient(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Give `p - t` for labels t drawn from p."""
        p = output.sigmoid()
        return p - (torch.rand(p.shape, generator=generator).to(p) < p).to(p)


@dataclass(frozen=True)
class PoissonHessian(OutputHessian):
    """Poisson likelihood of log rates, the mean over a sample's C entries."""

    def root(self, output: Tensor, right: Tensor) -> Tensor:
        """Give `diag(sqrt(exp(y) / C)) right`."""
        return (output.detach().exp() / output[0].numel()).sqrt() * right

    def own_gradient(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Give `exp(y) - t` for counts t drawn from the rates."""
        rate = output.exp()
        return rate - torch.poisson(rate.cpu(), generator=generator).to(rate)


def normal_like(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal numbers of a tensor's shape; the generator lives on the CPU."""
    return torch.randn(like.shape, generator=generator).to(like)


def output_hessian(loss: nn.Module) -> OutputHessian:
    """Choose the output Hessian that belongs to a loss module.

    Args:
        loss: A torch loss, or one that has its output Hessian as attribute `hessian`.

    Returns:
        Its output Hessian.

    Raises:
        InvalidInputError: if the loss is not known or does not average over samples.
    """
    own = getattr(loss, "hessian", None)
    if isinstance(own, OutputHessian):
        return own
    name = type(loss).__name__
    if isinstance(loss, nn.GaussianNLLLoss):
        raise InvalidInputError(
            "loss: expected a loss of (output, target), got GaussianNLLLoss, which takes the "
            "variance as a third argument; use ocngame.curvature.GaussianNLL"
        )
    if getattr(loss, "reduction", "mean") != "mean":
        raise InvalidInputError(
            f"loss: expected reduction='mean', got {name} with reduction={loss.reduction!r}"
        )
    if isinstance(loss, nn.CrossEntropyLoss):
        return CrossEntropyHessian(dim=1)
    if isinstance(loss, nn.MSELoss):
        return SquaredErrorHessian()
    plain = getattr(loss, "weight", None) is None and getattr(loss, "pos_weight", None) is None
    if isinstance(loss, nn.BCEWithLogitsLoss) and plain:
        return BinaryCrossEntropyHessian()
    if isinstance(loss, nn.PoissonNLLLoss) and loss.log_input:
        return PoissonHessian()
    raise InvalidInputError(
        "loss: expected CrossEntropyLoss, MSELoss, BCEWithLogitsLoss without weights or "
        f"PoissonNLLLoss of log rates, got {name}; pass hessian= for others, LossHessian() of "
        "ocngame.curvature for one that is convex in the output"
    )
