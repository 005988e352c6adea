r"""Derivatives of batch normalisation, with the statistics of the batch or without.

In training mode `h = w (x - m(x)) / s(x) + c` with mean m and deviation s of the whole batch. Its
derivative at fixed statistics is `w / s`, entry by entry. The gate sits behind such a layer and
lets a backward pass take one of the two ways: through the layer itself, or past it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["BATCH_NORMS", "BatchNorm", "StatisticsGate", "batch_statistics", "couples_samples"]


BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def couples_samples(layer: BatchNorm) -> bool:
    """Say whether a batch normalisation uses the statistics of the batch.

    Args:
        layer: A batch normalisation.

    Returns:
        True in training mode, or if it keeps no running statistics.
    """
    return layer.training or layer.running_mean is None


def batch_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Give the statistics by which a batch is normalised.

    Args:
        x: Input of a batch normalisation, shape (B, C, ...).

    Returns:
        Mean and biased variance, shape (C,), without a gradient.
    """
    dims = [0, *range(2, x.ndim)]
    variance, mean = torch.var_mean(x.detach(), dim=dims, correction=0)
    return mean, variance


class StatisticsGate:
    """Whether backward passes run through the statistics of batch normalisations.

    Attributes:
        open: Whether they do; open at first.
        attached: Whether there is such a layer at all.
    """

    def __init__(self) -> None:
        """Open the gate."""
        self.open = True
        self.attached = False

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Let derivatives take the statistics as constants for a while."""
        self.open = False
        try:
            yield
        finally:
            self.open = True

    def attach(self, layer: BatchNorm, x: Tensor, output: Tensor) -> Tensor:
        """Put the gate behind a batch normalisation.

        Args:
            layer: The layer.
            x: Its input.
            output: Its output, attached to the graph.

        Returns:
            The output, with the gate if the layer uses the statistics of the batch.
        """
        if not couples_samples(layer) or not output.requires_grad:
            return output
        self.attached = True
        _, variance = batch_statistics(x)
        slope = (variance + layer.eps).rsqrt()
        if layer.affine:
            slope = slope * layer.weight.detach()
        gated: Any = _Gate.apply
        return gated(output, x, slope.view(-1, *[1] * (x.ndim - 2)), self)


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, output: Tensor, _x: Tensor, slope: Tensor, gate: StatisticsGate
    ) -> Tensor:
        ctx.slope, ctx.gate = slope, gate
        # No view, as autograd knows it: the next layer may overwrite it.
        same = torch.empty(0, dtype=output.dtype, device=output.device)
        return same.set_(output.detach())  # pyright: ignore[reportArgumentType]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.gate.open:
            return grads[0], None, None, None
        return None, grads[0] * ctx.slope, None, None
