"""Parts of continuous models: time as a further input, augmented states, second-order equations."""

from typing import Any

import torch
from torch import nn

from ocngame._checks import integer
from ocngame.games.twins import Traced

__all__ = ["Augment", "SecondOrder", "TimeConv2d", "TimeLinear", "append_time"]


def append_time(t: Traced, x: Traced) -> Traced:
    """Append the time as one more channel.

    Args:
        t: Scalar.
        x: Shape (B, C, ...).

    Returns:
        Shape (B, C + 1, ...).
    """
    return torch.cat([x, torch.ones_like(x[:, :1]) * t], 1)


class TimeLinear(nn.Module):
    """A linear layer of the state and the time, `W [x, t] + b`."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True):
        """Make the layer.

        Args:
            inputs: Size of the state.
            outputs: Size of the output.
            bias: Whether there is an offset.
        """
        super().__init__()
        integer("inputs", inputs, low=1)
        integer("outputs", outputs, low=1)
        self.layer = nn.Linear(inputs + 1, outputs, bias)

    def forward(self, t: Traced, x: Traced) -> Traced:
        """Give the layer's output, shape (B, outputs), of x of shape (B, inputs)."""
        return self.layer(append_time(t, x))


class TimeConv2d(nn.Module):
    """A convolution over the state and the time as one more channel."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, **options: Any):
        """Make the layer.

        Args:
            inputs: Channels of the state.
            outputs: Channels of the output.
            kernel: Width of the kernel; the padding keeps the size.
            **options: Further options of `torch.nn.Conv2d`.
        """
        super().__init__()
        integer("inputs", inputs, low=1)
        integer("outputs", outputs, low=1)
        integer("kernel", kernel, low=1)
        options = {"padding": kernel // 2, **options}
        self.layer = nn.Conv2d(inputs + 1, outputs, kernel, **options)

    def forward(self, t: Traced, x: Traced) -> Traced:
        """Give the layer's output, shape (B, outputs, ...), of x of shape (B, inputs, ...)."""
        return self.layer(append_time(t, x))


class Augment(nn.Module):
    """Zeros as further channels of a state, which give an ODE room to untangle it."""

    def __init__(self, count: int):
        """Set the number of channels.

        Args:
            count: Channels to append.
        """
        super().__init__()
        integer("count", count, low=1)
        self.count = count

    def forward(self, x: Traced) -> Traced:
        """Give shape (B, C + count, ...) from (B, C, ...)."""
        return torch.cat([x] + [torch.zeros_like(x[:, :1])] * self.count, 1)


class SecondOrder(nn.Module):
    """The field of `y'' = G(t, y, y')` on the state `[y, y']`, joined along the channels."""

    def __init__(self, acceleration: nn.Module):
        """Keep G.

        Args:
            acceleration: G, called as (t, [y, y']) with shape (B, 2 C, ...); gives (B, C, ...).
        """
        super().__init__()
        self.acceleration = acceleration

    def forward(self, t: Traced, x: Traced) -> Traced:
        """Give `[y', G]`, shape (B, 2 C, ...)."""
        velocity = x.chunk(2, 1)[1]
        return torch.cat([velocity, self.acceleration(t, x)], 1)
