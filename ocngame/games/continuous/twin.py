"""How a network with a solver in it is traced: one Euler step stands for all of them."""

from functools import partial
from typing import Any

import torch
from torch import fx

from ocngame.games.continuous.block import NeuralODE
from ocngame.games.twins import Traced, Twin

__all__ = ["solver_twin"]


def solver_twin(block: NeuralODE) -> Twin:
    """Give the twin of a block.

    Args:
        block: The block.

    Returns:
        A twin that runs as the block does, and is traced as one evaluation of the field.
    """
    return Twin(block, partial(_forward, block), {}, repeats=True)


def _forward(self: NeuralODE, x: Any, times: Any = None) -> Any:
    parts = x if isinstance(x, tuple) else (x,)
    if not any(isinstance(part, fx.Proxy) for part in parts):
        return type(self).forward(self, x, times)
    slope: Any = self.field(torch.tensor(0.0), x)
    if isinstance(x, tuple):
        ends = tuple(part + slope[i] for i, part in enumerate(x))
        return tuple(_output(self, a, b) for a, b in zip(x, ends, strict=True))
    return _output(self, x, x + slope)


def _output(self: NeuralODE, start: Traced, end: Traced) -> Traced:
    if not self.every:
        return end
    return torch.stack([start] + [end] * len(self.steps), 1)
