r"""The second forward pass of differential dynamic programming on a network.

A first pass keeps every live state x_e and backpropagates the output columns to it, `z_e`. The
second pass moves controls one stage after the other and gives, before each next control stage, the
column coordinates of the true deviation of the live state,

    s = sum over live edges e of  z_e . (x_e(new) - x_e(old))        per sample and column.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from ocngame.errors import InvalidInputError
from ocngame.games.graph import GameGraph
from ocngame.games.rollout import NetworkControl

__all__ = ["LiveRollout"]


class LiveRollout:
    """Replays a network stage by stage while its controls move."""

    def __init__(self, game: GameGraph, x: Tensor):
        """Run the first pass.

        Args:
            game: Game graph of the network.
            x: Network input, shape (B, ...).

        Raises:
            InvalidInputError: if a random layer is active, or a layer is used more than once.
        """
        self._nodes = list(game.program.graph.nodes)
        self._modules = dict(game.program.named_modules())
        acting = {
            stage.name: stage
            for stage in game.control_stages
            if any(p.requires_grad for p in self._modules[stage.operation].parameters())
        }
        targets = [stage.operation for stage in acting.values()]
        if len(set(targets)) < len(targets):
            raise InvalidInputError("sweep: expected layers used once each, got a shared layer")
        for module in self._modules.values():
            if isinstance(module, nn.Dropout) and module.training and module.p > 0:
                raise InvalidInputError(
                    "sweep: expected a deterministic network, got Dropout in training mode"
                )
        self._starts = [i for i, node in enumerate(self._nodes) if node.name in acting]
        self._live = [game.live_state(name) for name in acting]
        self._old: dict[str, Tensor] = {}
        with torch.enable_grad():
            for node in self._nodes:
                self._old[node.name] = self._run(node, self._old, x, None)
                if not self._old[node.name].requires_grad:
                    self._old[node.name].requires_grad_()
        self.output = self._old[self._nodes[-1].name]
        self._columns: dict[str, Tensor] = {}
        self._new: dict[str, Tensor] = {}
        self._x = x

    def attach(self, columns: Tensor) -> None:
        """Backpropagate output columns to all live states and go back to the first stage.

        Args:
            columns: Shape (R, *output.shape).
        """
        names = sorted({name for live in self._live for name in live})
        grads = torch.autograd.grad(
            self.output,
            [self._old[name] for name in names],
            columns,
            is_grads_batched=True,
            retain_graph=True,
            allow_unused=True,
        )
        self._columns = {
            name: grad for name, grad in zip(names, grads, strict=True) if grad is not None
        }
        self._new = {
            node.name: self._old[node.name].detach() for node in self._nodes[: self._starts[0]]
        }

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
        for position in range(self._starts[t], stop):
            node = self._nodes[position]
            change = move if position == self._starts[t] else None
            self._new[node.name] = self._run(node, self._new, self._x, change)
        if last:
            return None
        terms = [
            (self._columns[name] * (self._new[name] - self._old[name].detach())).flatten(2).sum(-1)
            for name in self._live[t + 1]
            if name in self._columns
        ]
        return torch.stack(terms).sum(0)

    def _run(self, node: fx.Node, values: dict[str, Tensor], x: Tensor, move: Tensor | None) -> Any:
        args: tuple[Any, ...]
        args, kwargs = map_arg((node.args, node.kwargs), lambda used: values[used.name])
        match node.op:
            case "placeholder":
                return x.detach().clone()
            case "output":
                return args[0]
            case "call_method":
                return getattr(args[0], str(node.target))(*args[1:], **kwargs)
            case "call_module":
                module = self._modules[str(node.target)]
                if move is None:
                    return module(*args, **kwargs)
                control = NetworkControl(node.name, module)  # pyright: ignore[reportArgumentType]
                weight, bias = control.module.weight, control.module.bias
                moved = dict(zip(map(id, control.parameters), control.split(move), strict=True))
                weight = weight + moved.get(id(weight), 0.0)
                return F.linear(
                    args[0], weight, None if bias is None else bias + moved.get(id(bias), 0.0)
                )
            case _:
                return node.target(*args, **kwargs)  # pyright: ignore[reportCallIssue]
