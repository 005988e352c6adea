"""Read the stages of a network off a torch module, by torch.fx."""

import operator
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from ocngame.errors import InvalidInputError, UnsupportedModuleError
from ocngame.games.coverage import control_kind
from ocngame.games.entry_controls import SCALED
from ocngame.games.stage import StageKind
from ocngame.games.twins import Twin, installed

__all__ = ["classify", "node_block", "node_shape", "trace_module"]

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
NORMALISATION_MODULES: tuple[type[nn.Module], ...] = (*SCALED[:-1], nn.LocalResponseNorm)
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
    StageKind.RESHAPE: frozenset(
        {torch.flatten, torch.reshape, torch.transpose, torch.permute, torch.squeeze}
        | {torch.unsqueeze, operator.getitem}
    ),
}
_METHODS: dict[StageKind, frozenset[str]] = {
    StageKind.ADD: frozenset({"add", "add_"}),
    StageKind.ELEMENTWISE: frozenset(_ELEMENTWISE_NAMES),
    StageKind.RESHAPE: frozenset(
        {"flatten", "unflatten", "reshape", "view", "contiguous", "transpose", "permute"}
        | {"squeeze", "unsqueeze", "expand"}
    ),
}


_TRANSPARENT = (nn.Sequential, nn.ModuleList, nn.MultiheadAttention, nn.RNNBase, nn.ConvTranspose1d)
_TRANSPARENT += (nn.ConvTranspose2d, nn.ConvTranspose3d)
_NO_STATE = (int, float, torch.Size, torch.dtype, torch.device)


class _Tracer(fx.Tracer):
    """Traces into everything but torch's layers and the blocks that the user names."""

    def __init__(self, blocks: Collection[type[nn.Module] | str], twins: Sequence[Twin]):
        super().__init__()
        self._twins = {twin.module for twin in twins}
        self._types = tuple(block for block in blocks if not isinstance(block, str))
        self._paths = {block for block in blocks if isinstance(block, str)}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if module_qualified_name in self._paths or isinstance(m, self._types):
            return True
        if m in self._twins:
            return False
        return control_kind(m) is not None or super().is_leaf_module(m, module_qualified_name)

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        """Go through the parts of a state whose number is written in the program."""
        node, name = obj.node, getattr(obj.node.target, "__name__", obj.node.target)
        state: Any = obj
        parts = node.args[1] if len(node.args) > 1 else node.kwargs.get("chunks")
        if name == "chunk" and isinstance(parts, int):
            return iter([state[i] for i in range(parts)])
        if name == "split" and isinstance(parts, list | tuple):
            return iter([state[i] for i in range(len(parts))])
        return super().iter(obj)


def trace_module(
    module: nn.Module,
    example: Tensor | tuple[Tensor, ...] | None,
    blocks: Collection[type[nn.Module] | str] = (),
    twins: Sequence[Twin] = (),
) -> fx.GraphModule:
    """Trace a module into a graph of operations, with shapes if an example is given.

    Args:
        module: The network.
        example: An example input with a leading batch dimension, a tuple of several, or None.
        blocks: Classes or module paths of submodules that are one stage each.
        twins: Modules that are traced as their twins.

    Returns:
        The traced graph module, which shares its parameters with `module`.

    Raises:
        InvalidInputError: if a block is neither a class of modules nor the path of a submodule, or
            the network cannot run on the example.
        UnsupportedModuleError: if the module cannot be traced (data-dependent control flow).
    """
    if isinstance(module, nn.Linear):
        raise UnsupportedModuleError(
            "model: expected a module made of layers, got a Linear layer alone; "
            "put it into nn.Sequential"
        )
    paths = {path for path, _ in module.named_modules() if path}
    for block in blocks:
        if block not in paths and not (isinstance(block, type) and issubclass(block, nn.Module)):
            raise InvalidInputError(
                f"blocks: expected module classes or paths of submodules, got {block!r}"
            )
    tracer = _Tracer(blocks, twins)
    try:
        with installed(twins):
            graph = tracer.trace(module)
            traced = fx.GraphModule(tracer.root, graph, type(module).__name__)
    except Exception as error:
        where = _where(tracer)
        raise UnsupportedModuleError(
            f"model: {type(module).__name__} cannot be traced into stages"
            f"{f' at {where!r}' if where else ''} ({_first_sentence(error)}); name the part that "
            "decides by its data as one stage with blocks=[...]"
        ) from error
    if example is not None:
        _propagate_shapes(traced, example)
    return traced


def _where(tracer: fx.Tracer) -> str:
    """Give the module path at which tracing stopped."""
    stack = getattr(tracer, "module_stack", {})
    return next(reversed(stack), "") if stack else ""


def _first_sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"


def _propagate_shapes(traced: fx.GraphModule, example: Tensor | tuple[Tensor, ...]) -> None:
    modes = {module: module.training for module in traced.modules()}
    traced.eval()
    try:
        with torch.no_grad():
            inputs = example if isinstance(example, tuple) else (example,)
            traced(*inputs)  # says in the network's own words what does not fit
            ShapeProp(traced).propagate(*inputs)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise InvalidInputError(
            f"example_input: expected an input that the network can run on ({error})"
        ) from error
    finally:
        for module, training in modes.items():
            module.training = training


def classify(node: fx.Node, modules: dict[str, nn.Module]) -> StageKind:
    """Say what a traced operation does to the state.

    Args:
        node: The operation.
        modules: Modules of the traced graph by path.

    Returns:
        The kind of its stage.
    """
    if issubclass(node.meta.get("type", object), _NO_STATE):
        return StageKind.CONSTANT
    fixed = {
        "placeholder": StageKind.INPUT,
        "output": StageKind.OUTPUT,
        "get_attr": StageKind.CONSTANT,
    }
    if node.op in fixed:
        return fixed[node.op]
    if node.op == "call_module":
        return _classify_module(modules[str(node.target)])
    known = _FUNCTIONS if node.op == "call_function" else _METHODS
    for kind, targets in known.items():
        if node.target in targets:
            return kind
    return StageKind.MAP


def _classify_module(module: nn.Module) -> StageKind:
    kind = control_kind(module)
    if kind is not None:
        return kind
    if any(True for _ in module.parameters()):
        return StageKind.BLOCK
    if isinstance(module, ELEMENTWISE_MODULES):
        return StageKind.ELEMENTWISE
    if isinstance(module, RESHAPE_MODULES):
        return StageKind.RESHAPE
    if isinstance(module, NORMALISATION_MODULES):
        return StageKind.NORMALISATION
    return StageKind.MAP


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


def node_block(node: fx.Node) -> str:
    """Give the path of the module that a traced operation is a part of.

    Args:
        node: The operation.

    Returns:
        The path of the innermost module that is more than a list of layers or a layer that is
        spelled out; empty for the network itself.
    """
    stack = list(node.meta.get("nn_module_stack", {}).values())
    inner = stack[:-1] if node.op == "call_module" else stack
    paths = [path for path, kind in inner if not issubclass(kind, _TRANSPARENT)]
    return paths[-1] if paths else ""
