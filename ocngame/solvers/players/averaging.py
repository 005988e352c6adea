r"""Averages of iterates: where players keep going about an equilibrium, their mean settles.

    a_n = d_n a_{n-1} + (1 - d_n) u_n,      d_n = min(memory, (1 + n) / (10 + n))

The second bound forgets the start while there are few iterates. Averages of players are what
regret bounds of convex-concave games are about, and help GANs as well (Yazici et al., 1806.04498).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ocngame._checks import in_range
from ocngame.errors import CheckpointError

__all__ = ["IterateAverage"]


class IterateAverage:
    """An average of tensors that others move.

    Attributes:
        memory: Memory, in [0, 1); 0: the last iterate.
        values: The average.
    """

    def __init__(self, tensors: Sequence[Tensor], *, memory: float):
        """Start at the tensors as they are.

        Args:
            tensors: What is averaged; only read.
            memory: Memory, in [0, 1).
        """
        in_range("memory", memory, low=0.0, high=1.0, high_open=True)
        self.memory, self._tensors, self._count = memory, list(tensors), 0
        self.values = [t.detach().clone() for t in tensors]

    @torch.no_grad()
    def update(self) -> None:
        """Take the tensors' present values into the average."""
        self._count += 1
        memory = min(self.memory, (1 + self._count) / (10 + self._count))
        for value, tensor in zip(self.values, self._tensors, strict=True):
            value.lerp_(tensor, 1 - memory)

    def joined(self) -> Tensor:
        """Give the average as one vector: of a game's tensors, a joint control.

        Returns:
            The values in the order of the tensors.
        """
        return torch.cat([value.reshape(-1) for value in self.values])

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on.

        Returns:
            Plain data and tensors.
        """
        return {"values": self.values, "count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Args:
            state: Plain data and tensors.

        Raises:
            CheckpointError: if it belongs to other tensors.
        """
        shapes = [tuple(v.shape) for v in state["values"]]
        if shapes != [tuple(v.shape) for v in self.values]:
            raise CheckpointError(
                f"state: expected the average of {len(self.values)} tensors, got shapes {shapes}"
            )
        self.values = [v.clone() for v in state["values"]]
        self._count = state["count"]
