r"""Gradients of an equation's solution by the adjoint equation, with O(1) memory in time.

For `x' = F(t, x, u)` and a cost `phi(x(t_0), .., x(t_K))`, run back from t_K to t_0

    x' = F,      q' = -F_x' q,      p' = -F_u' q,      q(t_k-) = q(t_k+) + dphi/dx(t_k)

(Pontryagin; Chen et al., arXiv 1806.07366, algorithm 1). At t_0, `q = dphi/dx_0` and
`p = dphi/du`; the time t_k has the derivative `q' F(t_k, x_k)` with what came back to x_k alone,
and t_0 has `-q(t_0)' F(t_0, x_0)`. No graph of the solve is kept, only the states at the times t_k
and at a fixed number of times between, at each of which x starts anew: its error cannot grow over
more than one such span. What x has become at the start of a span is compared with what it was: an
equation that contracts too fast to be run back is refused.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ocngame._checks import integer, positive
from ocngame.errors import IntegrationError, InvalidInputError, NotDifferentiableError
from ocngame.games.continuous.steppers import Adaptive, Parts, Stepper

__all__ = [
    "Adjoint",
    "AdjointProblem",
    "Span",
    "check_return",
    "pulled_back",
    "solve_adjoint",
    "spans",
]


@dataclass(frozen=True, kw_only=True)
class Adjoint:
    """Differentiation by backward equations, with memory that does not grow with the steps.

    Attributes:
        adaptive: Steps by tolerances, forward and back; None for the block's even steps.
        nodes: Gauss-Legendre nodes at which curvature is measured, over all intervals together;
            every interval has two at least.
        kept: States kept in every interval, from which backward solves start anew.
        drift: Largest relative difference between a state and what the backward equation makes of
            it; beyond it the solve is refused.
    """

    adaptive: Adaptive | None = None
    nodes: int = 5
    kept: int = 8
    drift: float = 0.5

    def __post_init__(self) -> None:
        """Validate the settings."""
        if self.adaptive is not None and not isinstance(self.adaptive, Adaptive):
            raise InvalidInputError(
                f"adaptive: expected an Adaptive or None, got {self.adaptive!r}"
            )
        integer("nodes", self.nodes, low=1)
        integer("kept", self.kept, low=1)
        positive("drift", self.drift)


@dataclass(frozen=True)
class AdjointProblem:
    """An equation with what it is solved by.

    Attributes:
        slope: F(t, x), with x a tensor or, if `tupled`, a tuple of tensors.
        parameters: Trained parameters that F depends on.
        times: t_0 .. t_K.
        stepper: Carries states.
        tupled: Whether the state is a tuple.
        rule: Settings.
        origin: The field as the user gave it.
        between: Times within every interval, with the states there once it is solved.
    """

    slope: Callable[[Tensor, Any], Any]
    parameters: Sequence[Tensor]
    times: Sequence[float]
    stepper: Stepper
    tupled: bool
    rule: Adjoint
    origin: Callable[..., Any]
    between: list[list[tuple[float, Parts]]] = field(default_factory=list)

    def evaluate(self, t: Tensor, x: Parts) -> Parts:
        """Give F(t, x) as a tuple of tensors."""
        found = self.slope(t, x if self.tupled else x[0])
        return tuple(found) if self.tupled else (found,)


@dataclass(frozen=True)
class Span:
    """A part of an interval that is solved back at once.

    Attributes:
        k: Number of the interval, from 1: it ends at t_k.
        last: Whether it is the part that ends at t_k.
        late: Its end.
        early: Its start.
        end: State at the end.
        start: State at the start.
    """

    k: int
    last: bool
    late: float
    early: float
    end: Parts
    start: Parts


def spans(problem: AdjointProblem, states: Sequence[Parts]) -> Iterator[Span]:
    """Go back through a solve.

    Args:
        problem: The equation, solved.
        states: States at t_0 .. t_K.

    Yields:
        The spans from the last to the first.
    """
    times = problem.times
    for k in range(len(times) - 1, 0, -1):
        between = problem.between[k - 1] if problem.between else []
        stops = [(times[k - 1], states[k - 1]), *between, (times[k], states[k])]
        for i in range(len(stops) - 1, 0, -1):
            (early, start), (late, end) = stops[i - 1], stops[i]
            yield Span(k, i == len(stops) - 1, late, early, end, start)


def solve_adjoint(problem: AdjointProblem, x: Parts, times: Tensor) -> Parts:
    """Solve an equation; its result has gradients by the adjoint equation.

    Args:
        problem: The equation.
        x: State at t_0.
        times: t_0 .. t_K as a tensor, whose gradient may be wanted.

    Returns:
        The states at t_0 .. t_K, shape (K + 1, B, ...) each.
    """
    solved: Any = _Solve.apply(problem, times, len(x), *x, *problem.parameters)
    return solved


class _Solve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, problem: AdjointProblem, times: Tensor, count: int, *rest: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        x: Parts = tuple(part.detach() for part in rest[:count])
        states: list[Parts] = [x]
        ends = problem.times
        for k in range(len(ends) - 1):
            stops = problem.stepper.stops(ends[k], ends[k + 1], k, problem.rule.kept)
            found = problem.stepper.carry(problem.evaluate, x, [ends[k], *stops, ends[k + 1]], k)
            problem.between.append(list(zip(stops, found, strict=False)))
            x = found[-1]
            states.append(x)
        solved = tuple(torch.stack(parts) for parts in zip(*states, strict=True))
        ctx.problem, ctx.count = problem, count
        ctx.save_for_backward(*solved)
        ctx.save_for_forward(*solved)
        ctx.like = times
        return solved

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Push a change of the times: a state at t_k moves with `F(t_k, x_k)`."""
        problem, count = ctx.problem, ctx.count
        if any(t is not None and bool(t.any()) for t in tangents[3:]):
            raise NotDifferentiableError(
                "mode: expected 'discretise' for tangents of states or parameters, got 'adjoint'"
            )
        times, states = tangents[1], list(zip(*ctx.saved_tensors, strict=True))
        moved: list[Parts] = []
        for k, x in enumerate(states):
            with torch.no_grad():
                value = problem.evaluate(x[0].new_tensor(problem.times[k]), x[:count])
            moved.append(tuple(v.detach() * times[k] for v in value))
        return tuple(torch.stack(parts) for parts in zip(*moved, strict=True))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        problem, count = ctx.problem, ctx.count
        if torch.is_grad_enabled():
            raise NotDifferentiableError(
                "mode: expected 'discretise' for second derivatives, got 'adjoint'"
            )
        states: list[Parts] = list(zip(*ctx.saved_tensors, strict=True))
        wanted = list(ctx.needs_input_grad[3 + count :])
        parameters = [p for p, need in zip(problem.parameters, wanted, strict=True) if need]
        q: Parts = tuple(torch.zeros_like(grad[0]) for grad in grads)
        p = torch.cat([w.new_zeros(w.numel()) for w in parameters]) if parameters else None
        to_times = [0.0] * len(problem.times)

        def slope(t: Tensor, y: Parts) -> Parts:
            x, costate = y[:count], y[count : 2 * count]
            value, back, moved = pulled_back(problem, t, x, costate, parameters)
            return (*value, *(-g for g in back), *([] if moved is None else [-moved]))

        timed = ctx.needs_input_grad[1]
        for span in spans(problem, states):
            if span.last:
                came = tuple(grad[span.k] for grad in grads)
                if timed:
                    to_times[span.k] = _along(problem, span.k, span.end, came)
                q = tuple(a + b for a, b in zip(q, came, strict=True))
            y = (*span.end, *q, *([] if p is None else [p]))
            (y,) = problem.stepper.carry(slope, y, (span.late, span.early), span.k - 1)
            check_return(problem, span, y[:count])
            q, p = y[count : 2 * count], None if p is None else y[2 * count]
        if timed:
            to_times[0] = -_along(problem, 0, states[0], q)
        q = tuple(a + grad[0] for a, grad in zip(q, grads, strict=True))
        moved = iter([] if p is None else p.split([w.numel() for w in parameters]))
        shaped = [
            next(moved).view_as(w) if need else None
            for w, need in zip(problem.parameters, wanted, strict=True)
        ]
        times = ctx.like.new_tensor(to_times) if timed else None
        return None, times, None, *q, *shaped


def pulled_back(
    problem: AdjointProblem,
    t: Tensor,
    x: Parts,
    q: Parts,
    parameters: Sequence[Tensor] = (),
    *,
    batched: bool = False,
) -> tuple[Parts, Parts, Tensor | None]:
    """Evaluate the field and pull costates back through it.

    Args:
        problem: The equation.
        t: Time.
        x: State.
        q: Costate, the shape of the state; with R in front of it if `batched`.
        parameters: Parameters whose derivative is wanted.
        batched: Whether there are R costates.

    Returns:
        `F`, `F_x' q`, and `F_u' q` of all parameters in one row (None without parameters).
    """
    with torch.enable_grad():
        leaves = [part.detach().requires_grad_() for part in x]
        value = problem.evaluate(t, tuple(leaves))
        pairs = [(v, c) for v, c in zip(value, q, strict=True) if v.requires_grad]
        inputs: list[Tensor] = [*leaves, *parameters]
        found: Sequence[Tensor | None] = [None] * len(inputs)
        if pairs:
            values, costates = zip(*pairs, strict=True)
            found = torch.autograd.grad(
                values, inputs, costates, allow_unused=True, is_grads_batched=batched
            )
    back = tuple(
        torch.zeros_like(c) if g is None else g
        for c, g in zip(q, found[: len(leaves)], strict=True)
    )
    rows = [
        w.new_zeros(w.numel()) if g is None else g.reshape(-1)
        for w, g in zip(parameters, found[len(leaves) :], strict=True)
    ]
    return tuple(v.detach() for v in value), back, torch.cat(rows) if rows else None


def check_return(problem: AdjointProblem, span: Span, found: Parts) -> None:
    """Compare what a backward solve made of the state at the start of a span with what it was.

    Args:
        problem: The equation.
        span: The span.
        found: The state by the backward solve.

    Raises:
        IntegrationError: if they differ by more than the rule allows.
    """
    pairs = zip(found, span.start, strict=True)
    norms = torch.stack([torch.stack([(a - b).norm(), b.norm()]).double() for a, b in pairs])
    off, size = norms.square().sum(0).sqrt().tolist()
    size = max(size, 1e-12)
    if not off <= problem.rule.drift * size:
        raise IntegrationError(
            f"field: expected an equation that can be run back from t={span.late:g} to "
            f"t={span.early:g}, got a state that is off by {off / size:.2g} of its size there; use "
            "more steps, smaller tolerances, more states kept, or the mode 'discretise'"
        )


def _along(problem: AdjointProblem, k: int, x: Parts, q: Parts) -> float:
    """Give `q' F(t_k, x)`."""
    with torch.no_grad():
        value = problem.evaluate(x[0].new_tensor(problem.times[k]), x)
    return sum(float((v * c).sum()) for v, c in zip(value, q, strict=True))
