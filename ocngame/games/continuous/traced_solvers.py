"""Solvers of torchdiffeq inside a network that is traced: one evaluation stands for all of them.

While a network is traced, `odeint` and `odeint_adjoint` are replaced, wherever a module has them as
a global name, by one Euler step that a tracer can follow. Afterwards everything is as it was.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

__all__ = ["replaced_names", "traced_solvers"]

_NAMES = ("odeint", "odeint_adjoint")


@contextmanager
def traced_solvers() -> Iterator[list[nn.Module]]:
    """Let solvers be traced for a while.

    Yields:
        A list to which the vector fields that are solved in this time are added.
    """
    fields: list[nn.Module] = []
    package = sys.modules.get("torchdiffeq")
    if package is None:
        yield fields
        return
    euler = partial(_euler, fields)
    with replaced_names({id(getattr(package, name)): euler for name in _NAMES}):
        yield fields


@contextmanager
def replaced_names(stand_ins: Mapping[int, Callable[..., Any]]) -> Iterator[None]:
    """Let modules that have functions as global names have others for a while.

    Args:
        stand_ins: What to have instead, by the identity of a function.

    Yields:
        Nothing.
    """
    replaced: list[tuple[dict[str, Any], str, Any]] = []
    for name, module in list(sys.modules.items()):
        if name.startswith("torchdiffeq._impl"):
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


def _euler(
    fields: list[nn.Module], func: Any, y0: Any, t: Any, *_args: Any, **_options: Any
) -> Any:
    """Give the states at all times after one evaluation of the field."""
    if isinstance(func, nn.Module):
        fields.append(func)
    slope = func(t[0], y0)
    count = len(t) if isinstance(t, torch.Tensor) else 2
    if isinstance(y0, tuple):
        return tuple(_states(part, slope[i], count) for i, part in enumerate(y0))
    return _states(y0, slope, count)


def _states(start: Any, slope: Any, count: int) -> Any:
    return torch.stack([start] + [start + slope] * (count - 1))
