r"""Whether a column of the output Hessian is the gradient of the loss itself.

It is for densities, whose Hessian is replaced by `g_b g_b'` of the samples' own gradients. Where a
loss L is made of the output alone, the pass that gives its gradient then carries the column too:
with `dL/dy_b = g_b / B`, what comes back to a layer is that of the column over B.
"""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

__all__ = ["loss_scale"]

_MOST_NODES = 64
"""Nodes of the graph of a loss that are looked at; a loss has few."""


def loss_scale(
    loss: Tensor, output: Tensor, columns: Tensor, places: Collection[GradientEdge] = ()
) -> float | None:
    """Give the factor from the gradient of a loss to a column.

    Args:
        loss: A scalar, attached to its graph.
        output: The network's output, shape (B, ...), attached.
        columns: Shape (R, B, ...).
        places: Where columns are wanted.

    Returns:
        The c > 0 with `columns[0, b] = +-c dL/dy_b` for all b, to rounding; None if there is none,
        there are several columns, or the loss depends on one of the places past the output.
    """
    if len(columns) != 1 or not _made_of(loss, output, {place.node for place in places}):
        return None
    (gradient,) = torch.autograd.grad(loss, output, retain_graph=True, allow_unused=True)
    if gradient is None or gradient.dtype not in (torch.float32, torch.float64):
        return None
    g, e = gradient.flatten(1).double(), columns[0].flatten(1).double()
    products = (g * e).sum(1, keepdim=True)
    scale = products.abs().sum() / g.square().sum()
    error = (e - scale * products.sign() * g).norm()
    tolerance = 100 * torch.finfo(gradient.dtype).eps
    found, wrong, size = torch.stack([scale, error, e.norm()]).tolist()
    return found if wrong <= tolerance * size and found > 0 else None


def _made_of(loss: Tensor, output: Tensor, places: Collection[Any]) -> bool:
    """Say whether a loss's graph, cut at the output, is free of other places."""
    last = output.grad_fn
    waiting: list[Any] = [loss.grad_fn]
    seen: set[Any] = {last}
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if len(seen) > _MOST_NODES or node in places:
            return False
        waiting.extend(child for child, _ in node.next_functions)
    return last is not None
