r"""The second forward pass of differential dynamic programming on a network.

A first pass keeps every live state x_e and backpropagates the output columns to it, `z_e`. The
second pass moves controls one stage after the other and gives, before each next control stage, the
column coordinates of the true deviation of the live state,

    s = sum over live edges e of  z_e . (x_e(new) - x_e(old))        per sample and column.

Both passes repeat the recorded one: Dropout draws the same masks, and batch normalisations take the
statistics of the recorded pass as constants.
"""

from collections.abc import Iterator
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx
from torch.func import functional_call
from torch.fx.node import map_arg

from ocngame.errors import InvalidInputError
from ocngame.games.batch_statistics import BATCH_NORMS, batch_statistics, couples_samples
from ocngame.games.coverage import network_control
from ocngame.games.graph import GameGraph
from ocngame.games.replay import RandomState, replayed

__all__ = ["LiveRollout"]


class LiveRollout:
    """Replays a network stage by stage while its controls move."""

    def __init__(self, game: GameGraph, x: Tensor, start: RandomState | None = None):
        """Run the first pass.

        Args:
            game: Game graph of the network.
            x: Network input, shape (B, ...).
            start: State of torch's generators before the recorded pass; None for their state now.

        Raises:
            InvalidInputError: if a layer is used more than once.
        """
        self._program = game.program
        self._nodes = list(game.program.graph.nodes)
        self._modules = dict(game.program.named_modules())
        acting = {
            stage.name: stage
            for stage in game.control_stages
            if any(p.requires_grad for p in self._modules[stage.operation].parameters())
        }
        targets = [stage.operation for stage in acting.values()]
        if len(set(targets)) < len(targets) or any(twin.repeats for twin in game.twins):
            raise InvalidInputError("sweep: expected layers used once each, got a shared layer")
        self._starts = [i for i, node in enumerate(self._nodes) if node.name in acting]
        self._live = [game.live_state(name) for name in acting]
        self._statistics: dict[str, tuple[Tensor, Tensor]] = {}
        self._random: dict[str, RandomState] = {}
        self._old: dict[str, Any] = {}
        start = start if start is not None else RandomState.now()
        with torch.enable_grad(), replayed(self._program, start):
            for node in self._nodes:
                before = RandomState.now()
                value = self._run(node, self._old, x, None)
                if not torch.equal(before.cpu, torch.get_rng_state()) or before.cuda:
                    self._random[node.name] = before
                for state in _tensors(value):
                    if state.is_leaf and state.is_floating_point() and node.op != "get_attr":
                        state.requires_grad_()
                self._old[node.name] = value
        self.output = self._old[self._nodes[-1].name]
        self._columns: dict[str, list[Tensor | None]] = {}
        self._new: dict[str, Any] = {}
        self._x = x

    def attach(self, columns: Tensor) -> None:
        """Backpropagate output columns to all live states and go back to the first stage.

        Args:
            columns: Shape (R, *output.shape).
        """
        names = sorted({name for live in self._live for name in live})
        states = {name: list(_tensors(self._old[name])) for name in names}
        wanted = [s for group in states.values() for s in group if s.requires_grad]
        grads = torch.autograd.grad(
            self.output,
            wanted,
            columns,
            is_grads_batched=True,
            retain_graph=True,
            allow_unused=True,
        )
        reached = iter(grads)
        self._columns = {
            name: [next(reached) if state.requires_grad else None for state in group]
            for name, group in states.items()
        }
        self._new = {node.name: self._old[node.name] for node in self._nodes[: self._starts[0]]}

    @torch.no_grad()
    def advance(self, t: int, move: Tensor) -> Tensor | None:
        """Move control t, run on to the next control stage and measure the deviation there.

        Args:
            t: Index of the control stage; stages must be advanced in order.
            move: Control move, shape (o, i).

        Returns:
            Column coordinates of the live state's deviation, shape (R, B); None after the last
            stage.
        """
        last = t + 1 == len(self._starts)
        stop = len(self._nodes) if last else self._starts[t + 1]
        after = RandomState.now() if self._random else None
        for position in range(self._starts[t], stop):
            node = self._nodes[position]
            change = move if position == self._starts[t] else None
            if node.name in self._random:
                self._random[node.name].restore()
            self._new[node.name] = self._run(node, self._new, self._x, change)
        if after is not None:
            after.restore()
        if last:
            return None
        terms = [
            (columns * (new - old.detach())).flatten(2).sum(-1)
            for name in self._live[t + 1]
            for columns, new, old in zip(
                self._columns[name],
                _tensors(self._new[name]),
                _tensors(self._old[name]),
                strict=True,
            )
            if columns is not None
        ]
        return torch.stack(terms).sum(0)

    def _run(self, node: fx.Node, values: dict[str, Any], x: Tensor, move: Tensor | None) -> Any:
        args: tuple[Any, ...]
        args, kwargs = map_arg((node.args, node.kwargs), lambda used: values[used.name])
        if node.op.startswith("call") and _in_place(node, self._modules):
            args = (args[0].clone(), *args[1:])
        match node.op:
            case "placeholder":
                return x.detach().clone()
            case "output":
                return args[0]
            case "get_attr":
                return reduce(getattr, str(node.target).split("."), self._program)
            case "call_method":
                return getattr(args[0], str(node.target))(*args[1:], **kwargs)
            case "call_module":
                return self._call(node, args, kwargs, move)
            case _:
                return node.target(*args, **kwargs)  # pyright: ignore[reportCallIssue]

    def _call(
        self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any], move: Tensor | None
    ) -> Any:
        module = self._modules[str(node.target)]
        moved: dict[str, Tensor] = {}
        if move is not None:
            control = network_control(node.name, module)
            parts = zip(control.names, control.parameters, control.split(move), strict=True)
            moved = {name: parameter + part for name, parameter, part in parts}
        if isinstance(module, BATCH_NORMS) and couples_samples(module):
            if node.name not in self._statistics:
                self._statistics[node.name] = batch_statistics(args[0])
            weight = moved.get("weight", module.weight)
            bias = moved.get("bias", module.bias)
            return F.batch_norm(args[0], *self._statistics[node.name], weight, bias, eps=module.eps)
        if not moved:
            return module(*args, **kwargs)
        return functional_call(module, moved, args, kwargs)


def _tensors(value: Any) -> Iterator[Tensor]:
    """Give the tensors of a state: itself, or the parts of a tuple."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)


def _in_place(node: fx.Node, modules: dict[str, Any]) -> bool:
    """Whether an operation overwrites its first argument."""
    if node.op == "call_module":
        return bool(getattr(modules[str(node.target)], "inplace", False))
    if node.op == "call_method":
        return str(node.target).endswith("_") and not str(node.target).endswith("__")
    name = getattr(node.target, "__name__", "")
    return bool(node.kwargs.get("inplace")) or name in _IN_PLACE or name.endswith("_")


_IN_PLACE = frozenset({"iadd", "isub", "imul", "itruediv"})
