"""Functions of other packages that are something else for a while."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["replaced_names"]


@contextmanager
def replaced_names(
    stand_ins: Mapping[int, Callable[..., Any]], spared: Sequence[str] = ("torchdiffeq._impl",)
) -> Iterator[None]:
    """Let modules that have functions as global names have others for a while.

    Args:
        stand_ins: What to have instead, by the identity of a function.
        spared: Beginnings of the names of modules that are left as they are.

    Yields:
        Nothing.
    """
    replaced: list[tuple[dict[str, Any], str, Any]] = []
    for name, module in list(sys.modules.items()) if stand_ins else []:
        if name.startswith(tuple(spared)):
            continue
        space = getattr(module, "__dict__", None) or {}
        replaced += [(space, key, v) for key, v in list(space.items()) if id(v) in stand_ins]
    try:
        for space, key, value in replaced:
            space[key] = stand_ins[id(value)]
        yield
    finally:
        for space, key, value in replaced:
            space[key] = value
