"""Autocast is for the network: the step itself is computed in the precision of the parameters.

Autocast keeps the weights that it has cast until its outermost context ends, and does not see that
they have moved: where that context goes around the step, they are forgotten here.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch

__all__ = ["Autocast", "full_precision"]

_DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class Autocast:
    """Where autocast is on, and to which type.

    Attributes:
        types: The type by kind of device.
    """

    types: dict[str, torch.dtype]

    @classmethod
    def now(cls) -> "Autocast":
        """Read the state of autocast.

        Returns:
            The state.
        """
        on = [device for device in _DEVICES if torch.is_autocast_enabled(device)]
        return cls({device: torch.get_autocast_dtype(device) for device in on})

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Let autocast be as it was, without weights that it has kept.

        Yields:
            Nothing.
        """
        with ExitStack() as stack:
            for device, kind in self.types.items():
                stack.enter_context(torch.autocast(device, kind, cache_enabled=False))
            yield


@contextmanager
def full_precision() -> Iterator[None]:
    """Turn autocast off, and let it forget the weights that it has kept.

    Yields:
        Nothing.
    """
    on = Autocast.now().types
    with ExitStack() as stack:
        for device in on:
            stack.enter_context(torch.autocast(device, enabled=False))
        yield
    if on:
        torch.clear_autocast_cache()
