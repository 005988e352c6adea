"""Foreign solvers inside a network that is traced: one evaluation stands for all of them.

While a network is traced, `odeint` and `odeint_adjoint` of torchdiffeq are replaced, wherever a
module has them as a global name, by one Euler step that a tracer can follow; so are torchode's
solvers. Afterwards everything is as it was.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from ocngame.games.continuous.replaced_names import replaced_names
from ocngame.games.continuous.traced_torchode import traced_torchode

__all__ = ["traced_solvers"]

_NAMES = ("odeint", "odeint_adjoint")


@contextmanager
def traced_solvers() -> Iterator[list[Any]]:
    """Let solvers be traced for a while.

    Yields:
        A list to which the vector fields, modules or functions, that are solved in this time are
        added.
    """
    fields: list[Any] = []
    package = sys.modules.get("torchdiffeq")
    euler = partial(_euler, fields)
    names = {} if package is None else {id(getattr(package, n)): euler for n in _NAMES}
    with replaced_names(names), traced_torchode(fields):
        yield fields


def _euler(fields: list[Any], func: Any, y0: Any, t: Any, *_args: Any, **_options: Any) -> Any:
    """Give the states at all times after one evaluation of the field."""
    fields.append(func)
    slope = func(t[0], y0)
    count = len(t) if isinstance(t, torch.Tensor) else 2
    if isinstance(y0, tuple):
        return tuple(_states(part, slope[i], count) for i, part in enumerate(y0))
    return _states(y0, slope, count)


def _states(start: Any, slope: Any, count: int) -> Any:
    return torch.stack([start] + [start + slope] * (count - 1))
