"""Run a network again as it was run before: the same random masks, no statistics updated.

A pass that only measures must not leave a trace. Batch normalisations in training mode normalise by
the statistics of the batch they see, but what they would add to their running statistics, as
whatever a layer writes to its buffers, goes to copies. Dropout draws the masks of the recorded
pass, and torch's generators go on as if nothing had run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["RandomState", "replayed"]


@dataclass(frozen=True)
class RandomState:
    """State of torch's generators.

    Attributes:
        cpu: State of the CPU's.
        cuda: State of each CUDA device's, by number.
    """

    cpu: Tensor
    cuda: dict[int, Tensor]

    @classmethod
    def now(cls) -> "RandomState":
        """Read the generators.

        Returns:
            Their state.
        """
        used = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
        return cls(torch.get_rng_state(), {i: torch.cuda.get_rng_state(i) for i in used})

    def restore(self) -> None:
        """Bring the generators back to this state."""
        torch.set_rng_state(self.cpu)
        for device, state in self.cuda.items():
            torch.cuda.set_rng_state(state, device)


@contextmanager
def replayed(module: nn.Module, start: RandomState) -> Iterator[None]:
    """Let a network run again without a trace.

    Args:
        module: The network.
        start: State of the generators before the pass that is repeated.

    Yields:
        Nothing; within, the network's random layers repeat themselves.
    """
    kept = [
        (layer, name, buffer)
        for layer in module.modules()
        if layer.training
        for name, buffer in layer.named_buffers(recurse=False)
    ]
    after = RandomState.now()
    try:
        for layer, name, buffer in kept:
            setattr(layer, name, buffer.clone())
        start.restore()
        yield
    finally:
        for layer, name, buffer in kept:
            setattr(layer, name, buffer)
        after.restore()
