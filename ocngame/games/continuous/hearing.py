"""Which solves a recorded pass makes by the adjoint equation.

Blocks of the mode `adjoint` tell of theirs. A call of torchdiffeq's `odeint_adjoint` is heard by
standing in front of it, wherever a module has it as a global name: it runs as it would, and what it
was called with is kept beside its result. To look through all modules takes longer than a step of a
small network, and is done only for networks that may call it.
"""

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ocngame.errors import InvalidInputError
from ocngame.games.continuous.adjoint import Adjoint, AdjointProblem
from ocngame.games.continuous.adjoint_block import Solved
from ocngame.games.continuous.block import NeuralODE
from ocngame.games.continuous.replaced_names import replaced_names
from ocngame.games.continuous.steppers import AdaptiveSteps

__all__ = ["hearing"]

_FIXED = ("euler", "midpoint", "heun2", "heun3", "rk4", "explicit_adams", "implicit_adams")


@contextmanager
def hearing(
    fields: Collection[nn.Module], hear: Callable[[Solved], None], foreign: bool = True
) -> Iterator[None]:
    """Hear of solves for a while.

    Args:
        fields: Vector fields, and blocks that are solvers.
        hear: Is called with every solve whose result has a graph.
        foreign: Whether solvers of other packages may be called.

    Yields:
        Nothing.
    """
    package = sys.modules.get("torchdiffeq") if foreign else None
    with ExitStack() as stack:
        for block in fields:
            if isinstance(block, NeuralODE) and block.adjoint is not None:
                stack.enter_context(block.adjoint.heard(hear))
        if package is not None:
            real = package.odeint_adjoint
            stack.enter_context(replaced_names({id(real): partial(_solve, real, hear)}))
        yield


def _solve(
    real: Callable[..., Any],
    hear: Callable[[Solved], None],
    func: Any,
    y0: Any,
    t: Tensor,
    *args: Any,
    **options: Any,
) -> Any:
    """Run `odeint_adjoint` and tell of it."""
    solution = real(func, y0, t, *args, **options)
    tupled = isinstance(y0, tuple)
    states = solution if tupled else (solution,)
    if options.get("event_fn") is not None:
        raise InvalidInputError(
            "event_fn: expected a solve of odeint_adjoint between given times, got one that ends "
            "at an event; expected None, or the mode that keeps the graph"
        )
    if not (isinstance(states[0], Tensor) and states[0].requires_grad):
        return solution
    rule = Adjoint(drift=1.0)
    problem = AdjointProblem(func, (), t.tolist(), _stepper(options), tupled, rule, func)
    hear(Solved(problem, tuple(states)))
    return solution


def _stepper(options: dict[str, Any]) -> AdaptiveSteps:
    """Solve back as torchdiffeq would."""
    method = options.get("adjoint_method") or options.get("method") or "dopri5"
    rtol, atol = (
        options.get(f"adjoint_{name}") or options.get(name) or usual
        for name, usual in (("rtol", 1e-7), ("atol", 1e-9))
    )
    given = options.get("adjoint_options")
    more = dict((options.get("options") if given is None else given) or {})
    more.pop("norm", None)
    if not all(isinstance(tolerance, float) for tolerance in (rtol, atol)):
        # One for every entry of a flat state: of no use for a state with columns beside it.
        rtol, atol = (float(torch.as_tensor(tolerance).min()) for tolerance in (rtol, atol))
    return AdaptiveSteps(method, rtol, atol, more, parted=method in _FIXED)
