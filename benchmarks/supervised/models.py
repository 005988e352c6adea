"""Networks of the tasks."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ocngame.training.networks import Residual


def mlp(sizes: Sequence[int], activation: Callable[[], nn.Module]) -> nn.Module:
    """Linear layers of these sizes with activations between them."""
    layers = [layer for i, o in pairwise(sizes[:-1]) for layer in (nn.Linear(i, o), activation())]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def residual_mlp(features: int, width: int, blocks: int, classes: int) -> nn.Module:
    """A chain of `x + tanh(W x + b)` between two linear layers."""
    chain = [Residual(width, nn.Tanh) for _ in range(blocks)]
    return nn.Sequential(nn.Linear(features, width), *chain, nn.Linear(width, classes))


def signal_cnn() -> nn.Module:
    """Three strided convolutions over signals of 40 points, in 10 classes."""
    return nn.Sequential(
        nn.Conv1d(1, 16, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv1d(16, 24, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv1d(24, 24, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24 * 5, 10),
    )


class Inception(nn.Module):
    """Three convolutions of different reach on the same state, side by side."""

    def __init__(self, channels: int, each: int):
        super().__init__()
        self.narrow = nn.Conv1d(channels, each, 1)
        self.middle = nn.Conv1d(channels, each, 3, padding=1)
        self.wide = nn.Conv1d(channels, each, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(torch.cat([self.narrow(x), self.middle(x), self.wide(x)], dim=1))


def signal_inception() -> nn.Module:
    """Two inception blocks between a strided convolution and a linear layer."""
    return nn.Sequential(
        nn.Conv1d(1, 12, 5, stride=2, padding=2),
        nn.ReLU(),
        Inception(12, 8),
        nn.Conv1d(24, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        Inception(16, 8),
        nn.Flatten(),
        nn.Linear(24 * 10, 10),
    )


class ResidualConvolution(nn.Module):
    """`relu(x + norm(conv(relu(norm(conv(x))))))`, with group norms."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv1d(channels, channels, 3, padding=1)
        self.first_norm = nn.GroupNorm(4, channels)
        self.second = nn.Conv1d(channels, channels, 3, padding=1)
        self.second_norm = nn.GroupNorm(4, channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(x + self.second_norm(self.second(inner)))


def signal_residual_cnn() -> nn.Module:
    """Two residual blocks with group norms, each behind a strided convolution."""
    return nn.Sequential(
        nn.Conv1d(1, 16, 5, stride=2, padding=2),
        ResidualConvolution(16),
        nn.Conv1d(16, 16, 3, stride=2, padding=1),
        ResidualConvolution(16),
        nn.Flatten(),
        nn.Linear(16 * 10, 10),
    )


def image_cnn() -> nn.Module:
    """Two strided convolutions and a hidden layer over images of 28 x 28, in 10 classes."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 7 * 7, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )
