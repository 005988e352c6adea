"""Vector fields and models around them that several tests use, in float64."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ocngame import NeuralODE
from ocngame.games.continuous import TimeConv2d, TimeLinear


class DenseField(nn.Module):
    """Two layers, of which the first sees the time."""

    def __init__(self, size: int, hidden: int):
        super().__init__()
        self.first = TimeLinear(size, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.last = nn.Linear(hidden, size)

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.norm(self.first(t, x))))


class PlainField(nn.Module):
    """Two layers, of which the first sees the time, and nothing between that normalises."""

    def __init__(self, size: int, hidden: int):
        super().__init__()
        self.first, self.last = TimeLinear(size, hidden), nn.Linear(hidden, size)

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(t, x)))


class ImageField(nn.Module):
    """Two convolutions over image and time, with a normalisation between."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = TimeConv2d(channels, 4)
        self.norm = nn.GroupNorm(2, 4)
        self.last = nn.Conv2d(4, channels, 3, padding=1)

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.norm(self.first(t, x))))


class Solved(nn.Module):
    """A model that calls a solver of its own in its forward function."""

    def __init__(self, solve: Callable[..., Any], field: nn.Module, *, seed: int = 0):
        super().__init__()
        torch.manual_seed(seed)
        self.before = nn.Linear(3, 2)
        self.field = field
        self.after = nn.Linear(2, 2)
        self.solve = solve

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.solve(self.field, self.before(x)))


def dense_model(seed: int = 0, **options: Any) -> nn.Sequential:
    """Three inputs, a field on two states, two outputs."""
    torch.manual_seed(seed)
    block = NeuralODE(DenseField(2, 4), **options)
    return nn.Sequential(nn.Linear(3, 2), block, nn.Linear(2, 2)).double()


def image_model(seed: int = 0, **options: Any) -> nn.Sequential:
    """Images of two channels, a field of convolutions, three outputs."""
    torch.manual_seed(seed)
    block = NeuralODE(ImageField(2), **options)
    return nn.Sequential(block, nn.Flatten(), nn.Linear(2 * 3 * 3, 3)).double()
