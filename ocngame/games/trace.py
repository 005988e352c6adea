"""Read the stages of a network off a torch module, by torch.fx."""

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.fx.proxy import TraceError

from ocngame.errors import UnsupportedModuleError
from ocngame.games.stage import StageKind

__all__ = ["classify", "node_shape", "trace_module"]

ELEMENTWISE_MODULES: tuple[type[nn.Module], ...] = (
    nn.Tanh,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Sigmoid,
    nn.LogSigmoid,
    nn.Softplus,
    nn.Softsign,
    nn.Hardtanh,
    nn.Hardswish,
    nn.Identity,
    nn.Dropout,
)
RESHAPE_MODULES: tuple[type[nn.Module], ...] = (nn.Flatten, nn.Unflatten)
_ELEMENTWISE_NAMES = (
    "tanh",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "sigmoid",
    "logsigmoid",
    "softplus",
    "softsign",
    "hardtanh",
    "hardswish",
    "sin",
    "cos",
    "exp",
    "dropout",
)
_FUNCTIONS: dict[StageKind, frozenset[Callable[..., Any]]] = {
    StageKind.ADD: frozenset({operator.add, operator.iadd, torch.add}),
    StageKind.ELEMENTWISE: frozenset(
        getattr(space, name)
        for space in (torch, F)
        for name in _ELEMENTWISE_NAMES
        if hasattr(space, name)
    ),
    StageKind.RESHAPE: frozenset({torch.flatten, torch.reshape}),
}
_METHODS: dict[StageKind, frozenset[str]] = {
    StageKind.ADD: frozenset({"add", "add_"}),
    StageKind.ELEMENTWISE: frozenset(_ELEMENTWISE_NAMES),
    StageKind.RESHAPE: frozenset({"flatten", "reshape", "view", "contiguous"}),
}


def trace_module(module: nn.Module, example: Tensor | None) -> fx.GraphModule:
    """Trace a module into a graph of operations, with shapes if an example is given.

    Args:
        module: The network.
        example: An example input with a leading batch dimension, or None.

    Returns:
        The traced graph module, which shares its parameters with `module`.

    Raises:
        UnsupportedModuleError: if the module cannot be traced (data-dependent control flow).
    """
    if isinstance(module, nn.Linear):
        raise UnsupportedModuleError(
            "model: expected a module made of layers, got a Linear layer alone; "
            "put it into nn.Sequential"
        )
    try:
        traced = fx.symbolic_trace(module)
    except (TraceError, TypeError, ValueError, RuntimeError) as error:
        raise UnsupportedModuleError(
            f"model: {type(module).__name__} cannot be traced into stages ({error})"
        ) from error
    if example is not None:
        was_training = traced.training
        traced.eval()
        try:
            with torch.no_grad():
                ShapeProp(traced).propagate(example)
        finally:
            traced.train(was_training)
    return traced


def classify(node: fx.Node, modules: dict[str, nn.Module]) -> StageKind:
    """Say what a traced operation does to the state.

    Args:
        node: The operation.
        modules: Modules of the traced graph by path.

    Returns:
        The kind of its stage.

    Raises:
        UnsupportedModuleError: naming the layer or operation that no stage kind covers.
    """
    if node.op == "placeholder":
        return StageKind.INPUT
    if node.op == "output":
        return StageKind.OUTPUT
    if node.op == "call_module":
        return _classify_module(str(node.target), modules[str(node.target)])
    if node.op == "call_function":
        for kind, functions in _FUNCTIONS.items():
            if node.target in functions:
                return kind
    if node.op == "call_method":
        for kind, methods in _METHODS.items():
            if node.target in methods:
                return kind
    name = getattr(node.target, "__name__", str(node.target))
    raise UnsupportedModuleError(
        f"model: operation {name!r} (at {node.name!r}) is not supported; expected Linear layers, "
        "elementwise activations and residual additions"
    )


def _classify_module(path: str, module: nn.Module) -> StageKind:
    if isinstance(module, nn.Linear):
        return StageKind.LINEAR
    if isinstance(module, ELEMENTWISE_MODULES):
        return StageKind.ELEMENTWISE
    if isinstance(module, RESHAPE_MODULES):
        return StageKind.RESHAPE
    raise UnsupportedModuleError(
        f"model: layer {path!r} is a {type(module).__name__}, which is not supported; "
        "expected Linear layers, elementwise activations and residual additions"
    )


def node_shape(node: fx.Node) -> tuple[int, ...] | None:
    """Give the shape that leaves a traced operation, without the batch.

    Args:
        node: The operation.

    Returns:
        The shape, or None if it was traced without an example.
    """
    meta = node.meta.get("tensor_meta")
    shape = getattr(meta, "shape", None)
    return None if shape is None else tuple(int(size) for size in shape[1:])
