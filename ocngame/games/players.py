r"""Differentiable games: players own tensors, each has a cost of its own of all of them.

Player i chooses its control u^i, all its trainable tensors together, and minimises

    f^i(u^1, .., u^N; batch),      i = 1..N

It is a game of one stage without a state, which is played again and again: the stage game of
`ocngame.bellman` with `q_u = d f^i / du` and `q_uu` the Hessian of f^i over the joint control.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ocngame.errors import InvalidInputError, NotDifferentiableError

__all__ = ["PlayerGame", "Values"]

Values = list[list[Tensor]]
"""The tensors of every player, in the order of the game."""

_BLIND = {
    "OdeintAdjointMethodBackward": "odeint_adjoint of torchdiffeq",
    "BacksolveFunctionBackward": "BacksolveAdjoint of torchode",
}
"""Nodes that evaluate a module anew on the way back, when it has its own tensors again."""


class PlayerGame:
    """Players with tensors of their own, and their costs.

    Attributes:
        names: Names of the players.
        costs: One function per player, or one that returns the costs of all. Each is called with
            the players as they were given (modules, tensors, tuples of tensors) and the batch.
        parameters: Every player's trainable tensors.
        control_slices: Every player's slice of the joint control.
    """

    def __init__(
        self,
        players: Sequence[Any] | Mapping[str, Any],
        costs: Sequence[Callable[..., Tensor]] | Callable[..., Sequence[Tensor]],
    ):
        """Gather the players' tensors.

        Args:
            players: A module, a leaf tensor or a sequence of leaf tensors for each player; names
                are the keys of a mapping, or numbers.
            costs: A scalar torch function of all players (and of the batch) for each player, or one
                function that returns as many scalars as there are players.

        Raises:
            InvalidInputError: if two players share a tensor, a player has none that is trainable,
                or the numbers of players and costs differ.
        """
        if not isinstance(players, Mapping):
            players = {str(i): player for i, player in enumerate(players)}
        if not players:
            raise InvalidInputError("players: expected at least one, got none")
        if not callable(costs) and len(costs) != len(players):
            raise InvalidInputError(
                f"costs: expected {len(players)}, one per player, got {len(costs)}"
            )
        self.names = tuple(players)
        self.costs = costs if callable(costs) else tuple(costs)
        self._owners = [_Owner(name, player) for name, player in players.items()]
        self._holder = _Holder(self._owners)
        self.parameters: Values = [list(owner.tensors) for owner in self._owners]
        self._check_shared()
        self._looked = False
        edges = [0]
        for own in self.parameters:
            edges.append(edges[-1] + sum(p.numel() for p in own))
        self.control_slices = tuple(slice(a, b) for a, b in pairwise(edges))

    @property
    def player_count(self) -> int:
        """Number N of players."""
        return len(self.names)

    @property
    def control_size(self) -> int:
        """Size m of the joint control."""
        return self.control_slices[-1].stop

    def module(self, player: int) -> nn.Module | None:
        """Give a player's module.

        Args:
            player: Its number.

        Returns:
            The module, None for a player that was given as tensors.
        """
        found = self._owners[player].player
        return found if isinstance(found, nn.Module) else None

    def values(self) -> Values:
        """Give the players' present tensors.

        Returns:
            Detached views; they change when the players move.
        """
        return [[p.detach() for p in own] for own in self.parameters]

    def evaluate(self, values: Values, *batch: Any) -> list[Tensor]:
        """Evaluate every player's cost at given tensors.

        Args:
            values: Tensors in the place of the players' own.
            *batch: Passed on to the costs.

        Returns:
            The costs, scalars.

        Raises:
            InvalidInputError: if a cost is not a scalar, or there are too few or too many.
            NotDifferentiableError: if a cost comes from an equation whose backward pass does not
                see the players' tensors.
        """
        result = self._holder.call(self.costs, values, batch)
        self._look(result)
        if len(result) != self.player_count:
            raise InvalidInputError(
                f"costs: expected {self.player_count} costs, one per player, got {len(result)}"
            )
        for name, cost in zip(self.names, result, strict=True):
            if not isinstance(cost, Tensor) or cost.ndim != 0:
                what = tuple(cost.shape) if isinstance(cost, Tensor) else type(cost).__name__
                raise InvalidInputError(
                    f"costs: expected a scalar tensor as the cost of player {name!r}, got {what}"
                )
        return list(result)

    def evaluate_one(self, player: int, values: Values, *batch: Any) -> Tensor:
        """Evaluate one player's cost at given tensors; alone where costs are separate functions.

        Args:
            player: Whose cost.
            values: Tensors in the place of the players' own.
            *batch: Passed on to the costs.

        Returns:
            The cost, a scalar.

        Raises:
            InvalidInputError: if the cost is not a scalar.
            NotDifferentiableError: as in `evaluate`.
        """
        if callable(self.costs):
            return self.evaluate(values, *batch)[player]
        (cost,) = self._holder.call((self.costs[player],), values, batch)
        self._look([cost])
        if not isinstance(cost, Tensor) or cost.ndim != 0:
            what = tuple(cost.shape) if isinstance(cost, Tensor) else type(cost).__name__
            raise InvalidInputError(
                f"costs: expected a scalar tensor as the cost of player {self.names[player]!r}, "
                f"got {what}"
            )
        return cost

    def flatten(self, values: Values) -> Tensor:
        """Join tensors to one control.

        Args:
            values: The players' tensors.

        Returns:
            The joint control, shape (m,).
        """
        return torch.cat([p.reshape(-1) for own in values for p in own])

    def split(self, control: Tensor) -> Values:
        """Take a joint control apart.

        Args:
            control: Shape (m,).

        Returns:
            The players' tensors.
        """
        parts = iter(control.split([p.numel() for own in self.parameters for p in own]))
        return [[next(parts).view(p.shape) for p in own] for own in self.parameters]

    @torch.no_grad()
    def assign(self, control: Tensor) -> None:
        """Let the players have another joint control.

        Args:
            control: Shape (m,).
        """
        for own, new in zip(self.parameters, self.split(control), strict=True):
            for parameter, value in zip(own, new, strict=True):
                parameter.copy_(value)

    @property
    def control(self) -> Tensor:
        """A copy of the joint control, shape (m,)."""
        return self.flatten(self.values())

    def _look(self, costs: Sequence[Any]) -> None:
        """Look once for backward passes that run when the players' tensors are no longer lent."""
        graph = [c.grad_fn for c in costs if isinstance(c, Tensor) and c.requires_grad]
        if self._looked or not graph:
            return
        self._looked = True
        names = _nodes_of(graph)
        for node, call in _BLIND.items():
            if node in names:
                raise NotDifferentiableError(
                    f"players: expected equations solved by odeint, or by a NeuralODE, got {call}, "
                    "whose backward pass does not see the players' tensors"
                )

    def _check_shared(self) -> None:
        seen: dict[int, str] = {}
        kind = self.parameters[0][0]
        for owner in self._owners:
            for label, tensor in zip(owner.labels, owner.tensors, strict=True):
                where = f"{owner.name}.{label}" if label else owner.name
                other = seen.setdefault(_storage(tensor), where)
                if other != where:
                    raise InvalidInputError(
                        f"players: expected tensors that one player owns, but {other!r} and "
                        f"{where!r} are the same"
                    )
                if (tensor.dtype, tensor.device) != (kind.dtype, kind.device):
                    raise InvalidInputError(
                        f"players: expected one dtype and device, got {kind.dtype} on "
                        f"{kind.device} and, for {where!r}, {tensor.dtype} on {tensor.device}"
                    )


class _Owner:
    """One player's tensors, and how to show it with others in their place."""

    tensors: list[Tensor]

    def __init__(self, name: str, player: Any):
        self.name, self.player = name, player
        if isinstance(player, nn.Module):
            named = [(n, p) for n, p in player.named_parameters() if p.requires_grad]
            self.labels = [label for label, _ in named]
            self.tensors = list[Tensor](parameter for _, parameter in named)
        else:
            self.tensors = [player] if isinstance(player, Tensor) else _sequence(name, player)
            self.labels = [""] if isinstance(player, Tensor) else list(map(str, self.indices))
            for tensor in self.tensors:
                if not (isinstance(tensor, Tensor) and tensor.is_floating_point()):
                    raise InvalidInputError(
                        f"players: expected a module or floating-point tensors for {name!r}, got "
                        f"{tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__}"
                    )
                if not tensor.is_leaf:
                    raise InvalidInputError(
                        f"players: expected leaf tensors for {name!r}, got one that was computed "
                        "from others"
                    )
        if not any(math.prod(t.shape) for t in self.tensors):
            raise InvalidInputError(f"players: {name!r} has nothing to choose: no trainable tensor")

    @property
    def indices(self) -> range:
        return range(len(self.tensors))

    def shown(self, values: Sequence[Tensor]) -> Any:
        """Give the player as costs see it; a module's tensors are replaced by the caller."""
        if isinstance(self.player, nn.Module):
            return self.player
        return values[0] if isinstance(self.player, Tensor) else tuple(values)


class _Holder(nn.Module):
    """All modules under one roof, so that one functional call replaces their tensors."""

    def __init__(self, owners: Sequence[_Owner]):
        super().__init__()
        self.owners = owners
        for i, owner in enumerate(owners):
            if isinstance(owner.player, nn.Module):
                # The name `player{i}` stands before the module's own in `call`.
                self.add_module(f"player{i}", owner.player)

    def call(self, costs: Any, values: Values, batch: tuple[Any, ...]) -> Sequence[Any]:
        replaced = {
            f"player{i}.{label}": value
            for i, (owner, own) in enumerate(zip(self.owners, values, strict=True))
            if isinstance(owner.player, nn.Module)
            for label, value in zip(owner.labels, own, strict=True)
        }
        return torch.func.functional_call(self, replaced, (costs, values, batch))

    def forward(self, costs: Any, values: Values, batch: tuple[Any, ...]) -> Sequence[Any]:
        players = [owner.shown(own) for owner, own in zip(self.owners, values, strict=True)]
        if callable(costs):
            result = costs(*players, *batch)
            return list(result) if isinstance(result, (Sequence, Tensor)) else [result]
        return [cost(*players, *batch) for cost in costs]


def _nodes_of(roots: Sequence[Any]) -> set[str]:
    """Give the names of all nodes of a graph.

    Args:
        roots: Nodes to start from.

    Returns:
        The names.
    """
    waiting, seen, names = list(roots), set(roots), set[str]()
    while waiting:
        node = waiting.pop()
        names.add(node.name())
        new = {child for child, _ in node.next_functions if child is not None} - seen
        seen |= new
        waiting.extend(new)
    return names


def _sequence(name: str, player: Any) -> list[Any]:
    if not isinstance(player, Iterable):
        raise InvalidInputError(
            f"players: expected a module or tensors for {name!r}, got {type(player).__name__}"
        )
    return list(player)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr() if tensor.numel() else id(tensor)
