r"""Running mean and variance of vectors, and a linear layer that does not notice their change.

Moments of a batch with mean m, variance s and n samples join those of N samples before (Chan, Golub
& LeVeque, 1979): with `d = m - mean`,

    mean <- mean + d n / (N + n)
    var <- (N var + n s + d^2 N n / (N + n)) / (N + n)

An optional memory caps N, so that old samples fade.

A critic that gives normalised values `y` stands for `mean + std y`. When the moments change to
mean', std', its last layer `y = W h + b` is rewritten so that what it stands for does not change
(van Hasselt et al., 2016, 1602.07714, proposition 1):

    W <- W std / std',    b <- (std b + mean - mean') / std'
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["RunningMoments"]

_LEAST = 1e-8


class RunningMoments(nn.Module):
    """Mean and variance per entry of a vector, in float64.

    Attributes:
        mean: Shape (size,).
        variance: Shape (size,).
        count: Samples that they stand for.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, size: int, *, most: float | None = None):
        """Start at mean 0 and variance 1 of no samples.

        Args:
            size: Entries.
            most: Samples that the past counts for at most.
        """
        super().__init__()
        self._most = most
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(size, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @property
    def deviation(self) -> Tensor:
        """Standard deviation, shape (size,)."""
        return self.variance.clamp_min(_LEAST).sqrt()

    def update(self, samples: Tensor) -> None:
        """Take samples in.

        Args:
            samples: Shape (n, size); none of them changes nothing.
        """
        n = len(samples)
        if n == 0:
            return
        samples = samples.detach().double()
        mean = samples.mean(0)
        variance = (samples - mean).square().mean(0)
        past = self.count if self._most is None else self.count.clamp_max(self._most)
        total = past + n
        difference = mean - self.mean
        self.variance = (
            past * self.variance + n * variance + difference.square() * past * n / total
        ) / total
        self.mean = self.mean + difference * n / total
        self.count = total

    def normalise(self, samples: Tensor, reach: float | None = None) -> Tensor:
        """Give `(samples - mean) / std`.

        Args:
            samples: Shape (..., size).
            reach: Largest size of an entry of the result, None for no limit.

        Returns:
            The same shape and dtype.
        """
        scaled = (samples - self.mean.to(samples)) / self.deviation.to(samples)
        return scaled if reach is None else scaled.clamp(-reach, reach)

    def restore(self, samples: Tensor) -> Tensor:
        """Give `mean + std samples`.

        Args:
            samples: Shape (..., size).

        Returns:
            The same shape and dtype.
        """
        return self.mean.to(samples) + self.deviation.to(samples) * samples

    @torch.no_grad()
    def update_under(self, samples: Tensor, layers: Sequence[nn.Linear]) -> None:
        """Take samples in and rewrite the layers whose outputs these moments scale.

        Args:
            samples: Shape (n, size).
            layers: The layers, of `size` outputs each; changed in place.
        """
        mean, deviation = self.mean, self.deviation
        self.update(samples)
        ratio, shift = deviation / self.deviation, (mean - self.mean) / self.deviation
        for layer in layers:
            weight, bias = layer.weight, layer.bias
            weight.mul_(ratio.to(weight)[:, None])
            bias.mul_(ratio.to(bias)).add_(shift.to(bias))
