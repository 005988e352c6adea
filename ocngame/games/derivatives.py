r"""Values, gradients and Hessians of a vector function at many points, by reverse mode.

Outputs that share no input are differentiated together, and so are inputs that never meet in one
output (Curtis, Powell & Reid, 1974). With groups g of outputs, colours c of inputs, and the sums

    y_g = sum_{k in g} y_k,      d_gc = sum of the unit vectors of the inputs of colour c

the gradient of `y_g` has the rows of all k in g side by side, and its derivative along `d_gc` the
second derivatives with the one input of colour c that k depends on. A function of many bodies that
move on their own thus costs what one body costs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.games.dependence import dependence

__all__ = ["Derivatives", "Plan", "derivatives", "plan"]

VectorFunction = Callable[..., Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """How a function of d inputs and k outputs is differentiated.

    Attributes:
        pattern: Which output may depend on which input, shape (k, d).
        seeds: Which outputs are in which group, zeros and ones of shape (G, k).
        group: Each output's group, shape (k,).
        directions: The vectors d_gc, shape (C, G, d).
        source: Where the second derivatives that can differ from zero stand among the entries
            (c, g, input) of a point, shape (E,).
        target: Where they go among the entries (k, input, input), shape (E,).
    """

    pattern: Tensor
    seeds: Tensor
    group: Tensor
    directions: Tensor
    source: Tensor
    target: Tensor


@dataclass(frozen=True, kw_only=True)
class Derivatives:
    """What a function of d inputs and k outputs gives at S points.

    Attributes:
        value: Shape (S, k).
        slope: Gradients, shape (S, k, d).
        curve: Symmetric Hessians, shape (S, k, d, d), or None if they were not wanted.
    """

    value: Tensor
    slope: Tensor
    curve: Tensor | None


def plan(function: VectorFunction, z: Tensor, *rest: Tensor) -> Plan:
    """Find out how to differentiate a function.

    Args:
        function: From a vector (d,) and further arguments to a vector (k,).
        z: A vector of the argument's shape and dtype.
        rest: Further arguments.

    Returns:
        The plan.
    """
    pattern = dependence(function, z, *rest).cpu()
    group = _colours(_meet(pattern))
    count = int(group.max()) + 1 if len(group) else 0
    seeds = torch.nn.functional.one_hot(group, count).mT
    colour = torch.zeros(count, pattern.shape[1], dtype=torch.int64)
    for g in range(count):
        mine = pattern[group == g]
        colour[g] = _colours(_meet(mine.mT))
        colour[g, ~mine.any(0)] = -1
    colours = int(colour.max()) + 1 if colour.numel() else 0
    colour = torch.where(colour < 0, colours, colour)
    directions = torch.nn.functional.one_hot(colour, colours + 1)[..., :-1].movedim(-1, 0)
    k, a, b = (pattern.unsqueeze(-1) & pattern.unsqueeze(-2)).nonzero().unbind(-1)
    size = pattern.shape[1]
    return Plan(
        pattern=pattern.to(z.device),
        seeds=seeds.to(z),
        group=group.to(z.device),
        directions=directions.to(z).contiguous(),
        source=((colour[group[k], a] * count + group[k]) * size + b).to(z.device),
        target=((k * size + a) * size + b).to(z.device),
    )


def derivatives(
    function: VectorFunction | Sequence[VectorFunction],
    plan: Plan,
    z: Tensor,
    *rest: Tensor,
    second: bool = True,
) -> Derivatives:
    """Differentiate a function at many points.

    Args:
        function: From a vector (d,) and scalars to a vector (k,); or k functions to a scalar each.
        plan: Its plan.
        z: Points, shape (S, d).
        rest: Further arguments, shapes (S,).
        second: Whether Hessians are wanted.

    Returns:
        The derivatives. Where gradients are enabled they flow to the points and to what the
        function holds.
    """
    tracked = torch.is_grad_enabled() and (z.requires_grad or _holds_gradients(function, z, rest))
    groups, (count, size) = len(plan.seeds), z.shape
    with torch.enable_grad():
        copies = z.expand(groups, count, size).clone()
        if not (tracked and z.requires_grad):
            copies = copies.detach().requires_grad_()
        value, sums = _sums(function, plan, copies, rest)
        steep = _backward(sums, copies, second or tracked)
        bent = _along(steep, copies, plan.directions, tracked) if second else None
        slope = steep.index_select(0, plan.group) * plan.pattern.unsqueeze(1)
        curve = None if bent is None else _spread(bent, plan)
    if not tracked:
        value, slope = value.detach(), slope.detach()
    return Derivatives(value=value, slope=slope.transpose(0, 1), curve=curve)


def _holds_gradients(
    function: VectorFunction | Sequence[VectorFunction], z: Tensor, rest: tuple[Tensor, ...]
) -> bool:
    """Say whether something that the function holds asks for gradients."""
    functions = (function,) if callable(function) else function
    first = [z[0].detach(), *(part[0] for part in rest)]
    return any(one(*first).requires_grad for one in functions)


def _sums(
    function: VectorFunction | Sequence[VectorFunction],
    plan: Plan,
    copies: Tensor,
    rest: tuple[Tensor, ...],
) -> tuple[Tensor, Tensor]:
    """Give the outputs (S, k), and y_g of every group on its own copy of the points, (G, S)."""
    groups, count, size = copies.shape
    if callable(function):
        again = [part.expand(groups, count).reshape(-1) for part in rest]
        value = torch.vmap(function)(copies.reshape(-1, size), *again)
        value = value.unflatten(0, (groups, count))
        return value[0], (value * plan.seeds.unsqueeze(1)).sum(-1)
    places = plan.group.tolist()
    outputs = [torch.vmap(one)(copies[g], *rest) for one, g in zip(function, places, strict=True)]
    value = torch.stack(outputs, dim=-1)
    return value, plan.seeds @ value.mT


def _backward(value: Tensor, inputs: Tensor, keep: bool) -> Tensor:
    if not value.requires_grad:
        return torch.zeros_like(inputs)
    (slope,) = torch.autograd.grad(
        value.sum(), inputs, create_graph=keep, allow_unused=True, materialize_grads=True
    )
    return slope


def _along(steep: Tensor, inputs: Tensor, directions: Tensor, keep: bool) -> Tensor:
    """Differentiate the groups' gradients along the directions, shape (C, G, S, d)."""
    if not steep.requires_grad or not len(directions):
        return inputs.new_zeros(len(directions), *inputs.shape)
    seeds = directions.unsqueeze(2).expand(-1, *inputs.shape)
    (bent,) = torch.autograd.grad(
        steep, inputs, seeds, is_grads_batched=True, create_graph=keep, allow_unused=True
    )
    # Of a linear function that holds tensors with gradients, the slope has a graph without inputs.
    return torch.zeros_like(seeds) if bent is None else bent


def _spread(bent: Tensor, plan: Plan) -> Tensor:
    """Put compressed second derivatives (C, G, S, d) in their places, (S, k, d, d)."""
    count, (outputs, size) = bent.shape[2], plan.pattern.shape
    entries = bent.movedim(2, 0).reshape(count, -1).index_select(1, plan.source)
    full = entries.new_zeros(count, outputs * size * size)
    return full.index_copy_(1, plan.target, entries).view(count, outputs, size, size)


def _meet(pattern: Tensor) -> Tensor:
    """Say which rows share a column."""
    wide = pattern.to(torch.float32)
    return wide @ wide.mT > 0


def _colours(meet: Tensor) -> Tensor:
    """Colour items greedily so that no two that meet have the same colour."""
    colours: list[int] = []
    for k, row in enumerate(meet.tolist()):
        taken = {colours[j] for j in range(k) if row[j]}
        colours.append(next(c for c in range(k + 1) if c not in taken))
    return torch.tensor(colours, dtype=torch.int64)
