r"""Fixed points and their gradients.

`V* = F(V*, theta)` is found by iterating F. By the implicit function theorem

    dL/dtheta = (dF/dtheta)' w,        w = dL/dV* + (dF/dV)' w

so the backward pass iterates the transposed linearisation, which contracts as F does, and memory
does not grow with the number of iterations.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["FixedPoint", "attach_gradient", "iterate"]


@dataclass(frozen=True, kw_only=True)
class FixedPoint:
    """Where an iteration ended, batch (...) in front.

    Attributes:
        value: The last value of each element, shape (..., N, n, n).
        residual: `max |F(V) - V| / max |V|`, shape (...).
        count: Number of iterations taken, shape (...).
        healthy: Whether every iterate was one that F may be applied to, shape (...).
    """

    value: Tensor
    residual: Tensor
    count: Tensor
    healthy: Tensor


def iterate(
    step: Callable[[Tensor], tuple[Tensor, Tensor]], start: Tensor, *, tolerance: float, most: int
) -> FixedPoint:
    """Iterate `V <- F(V)`; each batch element stops by itself.

    Args:
        step: Gives `F(V)`, shape (..., N, n, n), and whether it means anything, shape (...).
        start: First value, shape (..., N, n, n).
        tolerance: Residual at which an element stops.
        most: Most iterations.

    Returns:
        Where each element ended. One that met numbers that are not finite, or a step that means
        nothing, stopped there.
    """
    value = start.detach()
    shape = value.shape[:-3]
    residual = value.new_full(shape, torch.inf)
    count = torch.zeros(shape, dtype=torch.int64, device=value.device)
    healthy = torch.ones(shape, dtype=torch.bool, device=value.device)
    running = healthy.clone()
    with torch.no_grad():
        for _ in range(most):
            new, meaningful = step(value)
            gap = (new - value).abs().amax((-3, -2, -1))
            size = new.abs().amax((-3, -2, -1))
            measured = torch.where(gap == 0, torch.zeros_like(gap), gap / size)
            residual = torch.where(running, measured, residual)
            count = count + running
            healthy = healthy & (meaningful | ~running)
            running = running & healthy & torch.isfinite(measured)
            running = running & ~(measured <= tolerance)
            value = torch.where(running[..., None, None, None], new, value)
            if not bool(running.any()):
                break
    return FixedPoint(value=value, residual=residual, count=count, healthy=healthy)


def attach_gradient(
    step: Callable[[Tensor], Tensor], value: Tensor, *, tolerance: float, most: int
) -> Tensor:
    """Give the fixed point a gradient with respect to what `step` depends on.

    Args:
        step: Gives `F(V)`, differentiable in V and in what else it depends on.
        value: The fixed point.
        tolerance: Relative change at which the backward iteration stops.
        most: Most backward iterations.

    Returns:
        `F(value)`, with the implicit function theorem's gradient.
    """
    attached = step(value.detach())
    if not attached.requires_grad:
        return attached
    inner = value.detach().requires_grad_()
    again = step(inner)

    def solve_adjoint(given: Tensor | None) -> Tensor | None:
        if given is None:
            return None
        total = given
        for _ in range(most):
            (moved,) = torch.autograd.grad(again, inner, total, retain_graph=True)
            new = given + moved
            change, size = (new - total).abs().max(), new.abs().max()
            total = new
            if not bool(change > tolerance * size):
                break
        return total

    attached.register_hook(solve_adjoint)
    return attached
