r"""Gaussian likelihood whose variance the network gives as well, and its output Fisher matrix.

The output holds, along its last dimension, first the means m of n entries, then what gives their
variances: the log variances s, `v = exp(s)`, or v itself. The loss is the mean over entries of

    phi = 1/2 (log v + (t - m)^2 / v),

torch's `GaussianNLLLoss`. In (m, s) its Hessian is `[[1/v, r/v], [r/v, r^2/(2 v)]]` with
`r = t - m`, of determinant `-r^2 / (2 v^2)`: the loss is not convex in the output unless the mean
is right. In place of the Hessian stands its expectation over targets of the model's own,
`t ~ N(m, v)`, which is the Fisher matrix of the output (Martens, 1412.1193, section 8):

    F = diag(1/v, 1/2)  in (m, s),        F = diag(1/v, 1/(2 v^2))  in (m, v),

each divided by n for the mean over entries. It is diagonal, positive, needs no target, and agrees
with the Hessian in m.
"""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn

from ocngame._checks import one_of, positive
from ocngame.curvature.output_hessian import OutputHessian, normal_like
from ocngame.errors import InvalidInputError

__all__ = ["GaussianFisher", "GaussianNLL", "Spread"]


class Spread(StrEnum):
    """What the second half of the output is.

    Attributes:
        LOG_VARIANCE: s, any numbers.
        VARIANCE: v, positive numbers.
    """

    LOG_VARIANCE = "log_variance"
    VARIANCE = "variance"


@dataclass(frozen=True, kw_only=True)
class GaussianFisher(OutputHessian):
    """Fisher matrix of a Gaussian likelihood with means and variances from the network.

    Attributes:
        spread: What the second half of the output is.
        eps: Least variance, as in `GaussianNLLLoss`.
    """

    spread: Spread = Spread.LOG_VARIANCE
    eps: float = 1e-6

    def __post_init__(self) -> None:
        """Validate the settings."""
        one_of("spread", self.spread, Spread)
        object.__setattr__(self, "spread", Spread(self.spread))
        positive("eps", self.eps)

    def root(self, output: Tensor, right: Tensor) -> Tensor:
        """Give `sqrt(F) right`.

        Args:
            output: Network output, shape (B, ..., 2 n).
            right: Shape (R, B, ..., 2 n).

        Returns:
            The shape of `right`.
        """
        _, variance = self.parts(output.detach())
        entries = output[0].numel() / 2
        if self.spread is Spread.LOG_VARIANCE:
            second = torch.full_like(variance, 0.5**0.5)
        else:
            second = 0.5**0.5 / variance
        return torch.cat([variance.rsqrt(), second], -1) / entries**0.5 * right

    def own_gradient(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Give the gradient at targets `m + sqrt(v) e` with normal e."""
        _, variance = self.parts(output)
        e = normal_like(variance, generator)
        second = 0.5 * (1 - e.square())
        if self.spread is Spread.VARIANCE:
            second = second / variance
        # Of the mean over n entries, while an output has 2 n.
        return torch.cat([-e * variance.rsqrt(), second], -1) * 2**0.5

    def parts(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Take an output apart.

        Args:
            output: Shape (B, ..., 2 n).

        Returns:
            Means and variances of at least `eps`, shape (B, ..., n) each.

        Raises:
            InvalidInputError: if the last dimension is not even.
        """
        if output.ndim < 2 or output.shape[-1] % 2:
            raise InvalidInputError(
                "output: expected means and variances along an even last dimension, got shape "
                f"{tuple(output.shape)}"
            )
        mean, spread = output.chunk(2, -1)
        if self.spread is Spread.LOG_VARIANCE:
            return mean, spread.exp().clamp_min(self.eps)
        return mean, spread.clamp_min(self.eps)


class GaussianNLL(nn.Module):
    """Negative log likelihood of targets under means and variances from the network.

    Attributes:
        hessian: The output Fisher matrix, which knows how outputs are taken apart.
    """

    def __init__(self, spread: Spread | str = Spread.LOG_VARIANCE, eps: float = 1e-6):
        """Make the loss.

        Args:
            spread: What the second half of the output is.
            eps: Least variance; below it the variance has no gradient.

        Raises:
            UnknownNameError: if `spread` is not known.
            InvalidInputError: if `eps` is not positive.
        """
        super().__init__()
        one_of("spread", spread, Spread)
        self.hessian = GaussianFisher(spread=Spread(spread), eps=eps)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Give the mean over samples and entries, without the constant `1/2 log(2 pi)`.

        Args:
            output: Network output, shape (B, ..., 2 n).
            target: Shape (B, ..., n).

        Returns:
            A scalar.

        Raises:
            InvalidInputError: if the shapes do not go together.
        """
        mean, variance = self.hessian.parts(output)
        if target.shape != mean.shape:
            raise InvalidInputError(
                f"target: expected shape {tuple(mean.shape)} for an output of shape "
                f"{tuple(output.shape)}, got {tuple(target.shape)}"
            )
        return 0.5 * (variance.log() + (target - mean).square() / variance).mean()
