r"""Gradients of fixed points.

For `V* = F(V*, theta)`, by the implicit function theorem,

    dL/dtheta = (dF/dtheta)' w,        w = dL/dV* + (dF/dV)' w

so the backward pass iterates the transposed linearisation, which contracts as F does, and memory
does not grow with the number of iterations.
"""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["attach_gradient"]


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
