"""Solvers of torchode inside a network that is traced: one evaluation stands for all of them.

torchode integrates every sample with steps of its own; its fields are called with one time per
sample. Of a step that only some samples accept, exact zeros come back to the others.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ocngame.errors import UnsupportedModuleError
from ocngame.games.continuous.replaced_names import replaced_names

__all__ = ["traced_torchode"]


@contextmanager
def traced_torchode(fields: list[Any]) -> Iterator[None]:
    """Let solvers of torchode be traced for a while, if it is loaded.

    Args:
        fields: Gets the vector fields that are solved in this time.

    Yields:
        Nothing.
    """
    package: Any = sys.modules.get("torchode")
    if package is None:
        yield
        return
    with ExitStack() as stack:
        names = {
            id(package.InitialValueProblem): _Problem,
            id(package.solve_ivp): partial(_solve_ivp, fields),
        }
        stack.enter_context(replaced_names(names, ()))
        stack.enter_context(_method(package.AutoDiffAdjoint, partial(_solve, fields)))
        for kind in (package.BacksolveAdjoint, package.JointBacksolveAdjoint):
            stack.enter_context(_method(kind, _refuse))
        yield


class _Problem(SimpleNamespace):
    def __init__(self, y0: Any, t_start: Any = None, t_end: Any = None, t_eval: Any = None):
        super().__init__(y0=y0, t_start=t_start, t_end=t_end, t_eval=t_eval)


@contextmanager
def _method(kind: type, stand_in: Any) -> Iterator[None]:
    real = kind.__dict__["solve"]
    kind.solve = lambda self, *args, **options: stand_in(self, *args, **options)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        kind.solve = real  # pyright: ignore[reportAttributeAccessIssue]


def _solve(
    fields: list[Any],
    solver: Any,
    problem: Any,
    term: Any = None,
    dt0: Any = None,
    args: Any = None,
) -> Any:
    del dt0
    term = solver.step_method.term if term is None else term
    extra = (args,) if term.with_args else ()
    return _euler(fields, term.f, problem.y0, problem.t_eval, *extra)


def _solve_ivp(
    fields: list[Any], f: Any, y0: Any, t_eval: Any, *, args: Any = None, **_options: Any
) -> Any:
    if hasattr(f, "with_args"):
        return _euler(fields, f.f, y0, t_eval, *((args,) if f.with_args else ()))
    return _euler(fields, f, y0, t_eval, *(() if args is None else (args,)))


def _refuse(solver: Any, *_: Any, **_options: Any) -> Any:
    raise UnsupportedModuleError(
        f"model: torchode's {type(solver).__name__} keeps no graph and gives no access to its "
        "backward equations; expected AutoDiffAdjoint, or NeuralODE with mode='adjoint'"
    )


def _euler(fields: list[Any], field: Any, y0: Any, times: Any, *extra: Any) -> Any:
    """Give a solution after one evaluation of the field."""
    fields.append(field)
    end = y0 + field(0.0 * y0[:, 0], y0, *extra)
    count = times.shape[-1] if isinstance(times, Tensor) else 2
    states = [end] if times is None else [y0] + [end] * (count - 1)
    return SimpleNamespace(ys=torch.stack(states, 1), ts=times, stats={}, status=torch.zeros(1))
