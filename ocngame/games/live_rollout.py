r"""The second forward pass of differential dynamic programming on a network.

A first pass keeps every live state x_e and backpropagates the output columns to it, `z_e`. The
second pass moves controls one stage after the other and gives, before each next control stage, the
column coordinates of the true deviation of the live state,

    s = sum over live edges e of  z_e . (x_e(new) - x_e(old))        per sample and column.

A state that is used several times has an edge to each of its users, with a derivative of its own:
once a user has run, what the state did to it shows in that user's output.

Both passes repeat the recorded one: Dropout draws the same masks, and batch normalisations take the
statistics of the recorded pass as constants.
"""

from collections.abc import Callable, Iterator
from functools import partial, reduce
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
        self._position = {node.name: i for i, node in enumerate(self._nodes)}
        self._statistics: dict[str, tuple[Tensor, Tensor]] = {}
        self._random: dict[str, RandomState] = {}
        self._edges: dict[tuple[str, str], list[Tensor]] = {}
        self._old: dict[str, Any] = {}
        start = start if start is not None else RandomState.now()
        with torch.enable_grad(), replayed(self._program, start):
            for node in self._nodes:
                before = RandomState.now()
                value = self._run(node, partial(self._used, node), x, None)
                if not torch.equal(before.cpu, torch.get_rng_state()) or before.cuda:
                    self._random[node.name] = before
                for state in _tensors(value):
                    if state.is_leaf and state.is_floating_point() and node.op != "get_attr":
                        state.requires_grad_()
                self._old[node.name] = value
        self.output = self._old[self._nodes[-1].name]
        self._columns: dict[tuple[str, str], list[Tensor | None]] = {}
        self._new: dict[str, Any] = {}
        self._x = x

    def attach(self, columns: Tensor) -> None:
        """Backpropagate output columns to all live edges and go back to the first stage.

        Args:
            columns: Shape (R, *output.shape).
        """
        live = {edge for start in self._starts for edge in self._crossing(start)}
        wanted = [s for edge in live for s in self._edges[edge] if s.requires_grad]
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
            edge: [next(reached) if s.requires_grad else None for s in self._edges[edge]]
            for edge in live
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
            self._new[node.name] = self._run(node, self._new.__getitem__, self._x, change)
        if after is not None:
            after.restore()
        if last:
            return None
        terms = [
            (columns * (new - old.detach())).flatten(2).sum(-1)
            for edge in self._crossing(stop)
            for columns, new, old in zip(
                self._columns[edge],
                _tensors(self._new[edge[0]]),
                _tensors(self._old[edge[0]]),
                strict=True,
            )
            if columns is not None
        ]
        return torch.stack(terms).sum(0)

    def _crossing(self, position: int) -> list[tuple[str, str]]:
        """Give the edges from before a position of the program to it or past it."""
        place = self._position
        return [edge for edge in self._edges if place[edge[0]] < position <= place[edge[1]]]

    def _used(self, user: fx.Node, name: str) -> Any:
        """Give a state as one of its users sees it: derivatives differ from user to user."""
        value, source = self._old[name], self._nodes[self._position[name]]
        if source.op == "get_attr" or next(_tensors(value), None) is None:
            return value
        seen = _seen(value)
        self._edges[name, user.name] = list(_tensors(seen))
        return seen

    def _run(
        self, node: fx.Node, value_of: Callable[[str], Any], x: Tensor, move: Tensor | None
    ) -> Any:
        args: tuple[Any, ...]
        known: dict[str, Any] = {used.name: value_of(used.name) for used in node.all_input_nodes}
        args, kwargs = map_arg((node.args, node.kwargs), lambda used: known[used.name])
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


def _seen(value: Any) -> Any:
    """Give the same numbers with a place of their own in the graph."""
    if isinstance(value, Tensor):
        return value.view_as(value)
    if isinstance(value, tuple | list):
        return type(value)(_seen(part) for part in value)
    return value


def _in_place(node: fx.Node, modules: dict[str, Any]) -> bool:
    """Whether an operation overwrites its first argument."""
    if node.op == "call_module":
        return bool(getattr(modules[str(node.target)], "inplace", False))
    if node.op == "call_method":
        return str(node.target).endswith("_") and not str(node.target).endswith("__")
    name = getattr(node.target, "__name__", "")
    return bool(node.kwargs.get("inplace")) or name in _IN_PLACE or name.endswith("_")


_IN_PLACE = frozenset({"iadd", "isub", "imul", "itruediv"})
