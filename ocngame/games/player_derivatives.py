r"""First and second derivatives of a differentiable game, without a matrix of its size.

With f^i the costs and u the joint control (size m, player i's part u^i):

    xi   = [d f^1 / du^1; ..; d f^N / du^N]           what every player sees of its own control
    J    = d xi / du,  row block i: d^2 f^i / du^i du  (Balduzzi et al., 1802.05642, section 2)

One backward pass with its graph gives the whole gradient `g^i = d f^i / du` of each cost. As the
Hessian of f^i is symmetric, a product with it is a second backward pass of a scalar,
`(d^2 f^i) v = d (g^i . v) / du`, of which `J v` needs player i's own rows only. `J' w` is
`d (xi . w) / du`, one backward pass for all players.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ocngame.errors import InvalidInputError
from ocngame.games.players import PlayerGame, Values

__all__ = ["GamePoint", "joined", "leaves_of", "own_gradients"]


def leaves_of(values: Values) -> Values:
    """Give tensors of the same values to differentiate by.

    Args:
        values: The players' tensors.

    Returns:
        Detached tensors that need gradients.
    """
    return [[value.detach().requires_grad_() for value in own] for own in values]


def joined(parts: Sequence[Tensor | None], like: Sequence[Tensor]) -> Tensor:
    """Put gradients together.

    Args:
        parts: By each of the tensors, None where nothing depends on it.
        like: The tensors.

    Returns:
        One vector, zero for None.
    """
    return torch.cat(
        [
            torch.zeros_like(leaf).reshape(-1) if part is None else part.reshape(-1)
            for part, leaf in zip(parts, like, strict=True)
        ]
    )


def own_gradients(
    game: PlayerGame, values: Values, batch: Sequence[Any] = ()
) -> tuple[Tensor, Tensor]:
    """Give every player's cost and its gradient in the player's own control.

    Args:
        game: The game.
        values: The players' tensors.
        batch: Passed on to the costs.

    Returns:
        Costs, shape (N,), and xi, shape (m,); both detached.
    """
    with torch.enable_grad():
        leaves = leaves_of(values)
        costs = game.evaluate(leaves, *batch)
        slope = _own_gradient(game, costs, leaves)
    return torch.stack([c.detach() for c in costs]), slope


class GamePoint:
    """A game at given tensors and batch, with the graph that products are taken from.

    Attributes:
        game: The game.
        costs: The players' costs, shape (N,), detached.
        products: Second-order backward passes made so far.
    """

    def __init__(
        self,
        game: PlayerGame,
        values: Values,
        batch: Sequence[Any] = (),
        *,
        own_only: bool = False,
    ):
        """Evaluate the costs and their gradients.

        Args:
            game: The game.
            values: The players' tensors.
            batch: Passed on to the costs.
            own_only: Whether own gradients are likely to be all that is asked for: whole gradients
                and their graph are made when they are wanted.
        """
        self.game = game
        self.products = 0
        with torch.enable_grad():
            self._leaves = leaves_of(values)
            self._costs = game.evaluate(self._leaves, *batch)
            self._own = _own_gradient(game, self._costs, self._leaves) if own_only else None
        if not own_only:
            _ = self._graphs
        self.costs = torch.stack([cost.detach() for cost in self._costs])

    @cached_property
    def _graphs(self) -> list[list[Tensor | None]]:
        everyone = range(self.game.player_count)
        with torch.enable_grad():
            return [
                _gradient(self.game, i, cost, self._leaves, everyone, create_graph=True)
                for i, cost in enumerate(self._costs)
            ]

    @cached_property
    def gradients(self) -> Tensor:
        """Whole gradients g^i, shape (N, m), detached."""
        flat = [leaf for own in self._leaves for leaf in own]
        return torch.stack([joined(graph, flat).detach() for graph in self._graphs])

    @property
    def own_gradient(self) -> Tensor:
        """The players' own gradients xi, shape (m,); a copy."""
        if self._own is not None:
            return self._own.clone()
        parts = zip(self.gradients, self.game.control_slices, strict=True)
        return torch.cat([gradient[block] for gradient, block in parts])

    def jacobian_product(self, direction: Tensor) -> Tensor:
        """Multiply with J.

        Args:
            direction: v, shape (m,).

        Returns:
            J v, shape (m,).
        """
        parts = self.game.split(direction)
        players = range(self.game.player_count)
        return torch.cat([self._product(i, parts, players, [i]) for i in players])

    def mixed_product(self, direction: Tensor) -> Tensor:
        """Multiply with J without its diagonal blocks.

        Args:
            direction: v, shape (m,).

        Returns:
            The product, shape (m,).
        """
        parts = self.game.split(direction)
        players = range(self.game.player_count)
        return torch.cat(
            [self._product(i, parts, [j for j in players if j != i], [i]) for i in players]
        )

    def transposed_product(self, direction: Tensor) -> Tensor:
        """Multiply with J'.

        Args:
            direction: w, shape (m,).

        Returns:
            J' w, shape (m,).
        """
        parts = self.game.split(direction)
        graph, weights = [], []
        offset = 0
        for i, own in enumerate(self._leaves):
            graph += self._graphs[i][offset : offset + len(own)]
            weights += parts[i]
            offset += len(own)
        return self._backward(graph, weights, range(self.game.player_count))

    def hessian_product(
        self, player: int, direction: Tensor, rows: int | None = None, columns: int | None = None
    ) -> Tensor:
        """Multiply with the Hessian of one player's cost, or with a block of it.

        Args:
            player: Whose cost.
            direction: v, shape (m,), or (m_j,) for the columns of player j.
            rows: Player whose rows are wanted, all if None.
            columns: Player whose columns are wanted, all if None.

        Returns:
            The product, shape (m,) or (m_i,).
        """
        everyone = range(self.game.player_count)
        if columns is None:
            parts = self.game.split(direction)
        else:
            sizes = [leaf.numel() for leaf in self._leaves[columns]]
            pieces = zip(direction.split(sizes), self._leaves[columns], strict=True)
            parts: Values = [[] for _ in everyone]
            parts[columns] = [piece.view(leaf.shape) for piece, leaf in pieces]
        return self._product(
            player,
            parts,
            everyone if columns is None else [columns],
            everyone if rows is None else [rows],
        )

    def hessians(self) -> Tensor:
        """Give every Hessian as a matrix; for small games and tests.

        Returns:
            Symmetric matrices, shape (N, m, m).
        """
        eye = torch.eye(self.game.control_size).to(self.gradients)
        rows = [
            torch.stack([self.hessian_product(i, column) for column in eye])
            for i in range(self.game.player_count)
        ]
        found = torch.stack(rows)
        return 0.5 * (found + found.mT)

    def _product(
        self, player: int, parts: Values, columns: Sequence[int], rows: Sequence[int]
    ) -> Tensor:
        graph, weights, offset = [], [], 0
        for j, own in enumerate(self._leaves):
            if j in columns:
                graph += self._graphs[player][offset : offset + len(own)]
                weights += parts[j]
            offset += len(own)
        return self._backward(graph, weights, rows)

    def _backward(
        self, graph: Sequence[Tensor | None], weights: Sequence[Tensor], rows: Sequence[int]
    ) -> Tensor:
        """Differentiate `graph . weights` by the tensors of some players."""
        wanted = [leaf for j in rows for leaf in self._leaves[j]]
        pairs = [
            (g, w) for g, w in zip(graph, weights, strict=True) if g is not None and g.requires_grad
        ]
        self.products += 1
        if not pairs:
            return torch.zeros_like(joined([None] * len(wanted), wanted))
        found = torch.autograd.grad(
            [g for g, _ in pairs],
            wanted,
            [w.detach() for _, w in pairs],
            retain_graph=True,
            allow_unused=True,
        )
        return joined(found, wanted).detach()


def _own_gradient(game: PlayerGame, costs: Sequence[Tensor], leaves: Values) -> Tensor:
    """Give xi of costs with their graph, shape (m,)."""
    return torch.cat(
        [
            joined(_gradient(game, i, cost, leaves, [i], create_graph=False), own)
            for i, (cost, own) in enumerate(zip(costs, leaves, strict=True))
        ]
    )


def _gradient(
    game: PlayerGame,
    player: int,
    cost: Tensor,
    leaves: Values,
    by: Sequence[int],
    *,
    create_graph: bool,
) -> list[Tensor | None]:
    """Differentiate a player's cost by the tensors of some players."""
    wanted = [leaf for j in by for leaf in leaves[j]]
    found: Sequence[Tensor | None] = [None] * len(wanted)
    if cost.requires_grad:
        found = torch.autograd.grad(
            cost, wanted, create_graph=create_graph, retain_graph=True, allow_unused=True
        )
    start = sum(len(leaves[j]) for j in by if j < player)
    if all(g is None for g in found[start : start + len(leaves[player])]):
        raise InvalidInputError(
            f"costs: expected the cost of player {game.names[player]!r} to depend on its own "
            "control, but it does not"
        )
    return list(found)
