r"""Columns of a field's layers from backward equations, with memory independent of the steps.

A column e at the output that comes back to the states at t_k as `e_k` obeys the adjoint equation
`-q' = F_x' q` with `e_k` added at t_k, and has at a layer h of F with input x_h the derivative

    z = int g x_h' dt,      g = (dF/dh)' q(t)

(low-rank factors of `Q_uu = sum z z'`, arXiv 2109.14158, proposition 3). The integral is taken at
Gauss-Legendre nodes tau_j with weights w_j of every interval, `z = sum_j w_j g(tau_j) x_h(tau_j)'`
(less than zero where the solve runs back in time).
State and columns are carried back together from node to node and nothing is kept in between. There
the field is run once more with hooks on its layers, as any other evaluation that was recorded, of
length w_j.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ocngame.errors import UnsupportedModuleError
from ocngame.games.batch_statistics import BATCH_NORMS, couples_samples
from ocngame.games.continuous.adjoint import AdjointProblem, check_return, pulled_back, spans
from ocngame.games.continuous.adjoint_block import Solved
from ocngame.games.continuous.steppers import Parts
from ocngame.games.continuous.watch import Evaluation
from ocngame.games.network_control import NetworkControl
from ocngame.games.uses import StageUse, stage_use

_NEAR = 1e-5
"""Part of a span within which a node counts as its end."""

__all__ = ["NodeUse", "check_field", "gauss_legendre", "node_uses"]

NodeUse = tuple[StageUse, Tensor | None]
"""A use of a control at a node, and what came back to it, shape (R, B, ...)."""


def gauss_legendre(start: float, end: float, count: int) -> list[tuple[float, float]]:
    """Give the nodes of an interval and their weights.

    Args:
        start: One end.
        end: The other; may be less.
        count: Number of nodes.

    Returns:
        Pairs (time, weight) from `start` to `end`; the weights add up to the length.
    """
    places, weights = np.polynomial.legendre.leggauss(count)
    middle, half = (start + end) / 2, (end - start) / 2
    return [
        (middle + half * float(s), abs(half) * float(w))
        for s, w in zip(places, weights, strict=True)
    ]


def check_field(field: Any, controls: Sequence[NetworkControl]) -> None:
    """Refuse layers that couple samples, whose statistics a backward run would change.

    Args:
        field: The field.
        controls: The controls of the network, for a field that is no module.

    Raises:
        UnsupportedModuleError: if there is one.
    """
    layers = field.modules() if isinstance(field, nn.Module) else [c.module for c in controls]
    for layer in layers:
        if isinstance(layer, BATCH_NORMS) and couples_samples(layer):
            raise UnsupportedModuleError(
                f"model: {type(layer).__name__} inside a field that is solved with the adjoint "
                "equation takes statistics of the batch anew at every evaluation; expected "
                "LayerNorm, GroupNorm, or the mode 'discretise'"
            )


def node_uses(
    solved: Solved, came: Sequence[Tensor | None], controls: Sequence[NetworkControl]
) -> list[list[NodeUse]]:
    """Carry columns back and collect them at the nodes.

    Args:
        solved: The solve.
        came: Columns that came back to the states, shape (R, K + 1, B, ...) for each part.
        controls: The controls of the network.

    Returns:
        For every control its uses at the nodes, none if the field does not have it.
    """
    found: list[list[NodeUse]] = [[] for _ in controls]
    known = next((c for c in came if c is not None), None)
    if known is None:
        return found
    problem, count = solved.problem, len(solved.states)
    columns = [
        s.new_zeros(len(known), *s.shape) if c is None else c
        for s, c in zip(solved.states, came, strict=True)
    ]
    states: list[Parts] = list(zip(*(part.detach() for part in solved.states), strict=True))
    place = {control.module: i for i, control in enumerate(controls)}

    def slope(t: Tensor, y: Parts) -> Parts:
        value, back, _ = pulled_back(problem, t, y[:count], y[count:], batched=True)
        return (*value, *(-g for g in back))

    q: Parts = tuple(torch.zeros_like(c[:, 0]) for c in columns)
    ahead = math.copysign(1.0, problem.times[-1] - problem.times[0])
    whole = abs(problem.times[-1] - problem.times[0])
    nodes: list[tuple[float, float]] = []
    with torch.no_grad():
        for span in spans(problem, states):
            if span.last:
                late, early = problem.times[span.k], problem.times[span.k - 1]
                number = math.ceil(problem.rule.nodes * abs(late - early) / whole - 1e-9)
                nodes = gauss_legendre(late, early, max(2, number))
                q = tuple(a + c[:, span.k] for a, c in zip(q, columns, strict=True))
            size = abs(span.late - span.early)
            own = [node for node in nodes if abs(span.late - node[0]) < (1 - _NEAR) * size]
            nodes = nodes[len(own) :]
            y = (*span.end, *q)
            at_end = bool(own) and abs(span.late - own[0][0]) < _NEAR * size
            times = [span.late, *(t for t, _ in own[at_end:]), span.early]
            reached = [y] * at_end + problem.stepper.carry(slope, y, times, span.k - 1)
            for (t, weight), y in zip(own, reached, strict=False):
                evaluation = Evaluation(problem.origin, t)
                evaluation.weight = weight
                seen = _observed(problem, t, y[:count], controls, place, evaluation)
                _differentiate(*seen, [ahead * weight * c for c in y[count:]], found)
            check_return(problem, span, reached[-1][:count])
            q = reached[-1][count:]
    return found


Seen = tuple[Parts, list[tuple[int, StageUse]]]


def _observed(
    problem: AdjointProblem,
    t: float,
    x: Parts,
    controls: Sequence[NetworkControl],
    place: dict[nn.Module, int],
    evaluation: Evaluation,
) -> Seen:
    """Run the field with hooks on its layers; give its value and the uses of controls."""
    uses: list[tuple[int, StageUse]] = []

    def hook(layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        if output.requires_grad:
            i = place[layer]
            uses.append((i, stage_use(controls[i], args[0], output, evaluation)))

    handles = [control.module.register_forward_hook(hook) for control in controls]
    try:
        with torch.enable_grad():
            leaves = tuple(part.detach().requires_grad_() for part in x)
            value = problem.evaluate(x[0].new_tensor(t), leaves)
    finally:
        for handle in handles:
            handle.remove()
    return value, uses


def _differentiate(
    value: Parts,
    uses: list[tuple[int, StageUse]],
    costates: list[Tensor],
    found: list[list[NodeUse]],
) -> None:
    pairs = [(v, c) for v, c in zip(value, costates, strict=True) if v.requires_grad]
    if not pairs or not uses:
        return
    grads = torch.autograd.grad(  # pyright: ignore[reportCallIssue]
        [v for v, _ in pairs],
        [use.place for _, use in uses],  # pyright: ignore[reportArgumentType]
        [c for _, c in pairs],
        is_grads_batched=True,
        allow_unused=True,
    )
    for (i, use), grad in zip(uses, grads, strict=True):
        found[i].append((use, grad))
