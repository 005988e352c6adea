"""Autocast is for the network: the step itself is computed in the precision of the parameters.

Autocast keeps the weights that it has cast until its outermost context ends, and does not see that
they have moved: where that context goes around the step, they are forgotten here.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

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
        return cls({device: torch.get_autocast_dtype(device) for device in on}) if on else OFF

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


OFF = Autocast({})
"""Autocast is on nowhere."""


def full_precision() -> AbstractContextManager[Any]:
    """Turn autocast off, and let it forget the weights that it has kept.

    Returns:
        A context in which it is off.
    """
    cast = Autocast.now()
    return _NOTHING if cast is OFF else _full_precision(cast)


_NOTHING = nullcontext()


@contextmanager
def _full_precision(cast: Autocast) -> Iterator[None]:
    with ExitStack() as stack:
        for device in cast.types:
            stack.enter_context(torch.autocast(device, enabled=False))
        yield
    torch.clear_autocast_cache()
