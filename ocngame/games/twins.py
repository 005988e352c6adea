"""Twins: blocks of torch spelled out in layers, so that their parts are stages.

Torch computes attention, recurrent layers and the like in one call. A twin is a second forward
function of such a module, which computes the same from layers that share the module's parameters.
While twins are installed, the module runs its twin and has these layers as submodules; afterwards
it is as it was.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

__all__ = ["HasTwin", "LastOffset", "Offset", "SharedLinear", "Traced", "Twin", "installed"]

Traced = Any
"""A tensor, or what stands for it while the network is traced."""


class SharedLinear(nn.Linear):
    """A linear layer on parameters of another module."""

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None):
        """Share parameters.

        Args:
            weight: Shape (o, i).
            bias: Shape (o,), or None.
        """
        nn.Module.__init__(self)
        self.out_features, self.in_features = weight.shape
        self.weight = weight
        self.register_parameter("bias", bias)


class Offset(nn.Module):
    """Adds an offset to every channel."""

    def __init__(self, bias: nn.Parameter):
        """Share the offset.

        Args:
            bias: Shape (channels,).
        """
        super().__init__()
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        """Give `x + b`, shape (B, channels, ...)."""
        return x + self.bias.view(-1, *[1] * (x.ndim - 2))


class LastOffset(Offset):
    """Adds an offset to every channel of the last dimension."""

    def forward(self, x: Tensor) -> Tensor:
        """Give `x + b`, shape (..., channels)."""
        return x + self.bias


@dataclass(frozen=True)
class Twin:
    """The twin of one module.

    Attributes:
        module: The module.
        forward: What it runs instead of its own forward function.
        layers: The layers that `forward` uses, by attribute name.
        repeats: Whether the number of its stages depends on the input.
    """

    module: nn.Module
    forward: Callable[..., Any]
    layers: Mapping[str, nn.Module]
    repeats: bool = False


class HasTwin(ABC):
    """A module that says itself how it is spelled out."""

    @abstractmethod
    def twin(self) -> Twin:
        """Give its twin."""


@contextmanager
def installed(twins: Sequence[Twin]) -> Iterator[None]:
    """Let modules run their twins for a while.

    Args:
        twins: The twins.

    Yields:
        Nothing.
    """
    try:
        for twin in twins:
            twin.module.__dict__["forward"] = twin.forward
            for name, layer in twin.layers.items():
                twin.module._modules[name] = layer
        yield
    finally:
        for twin in twins:
            twin.module.__dict__.pop("forward", None)
            for name in twin.layers:
                twin.module._modules.pop(name, None)
