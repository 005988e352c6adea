"""Own blocks of networks as operators on one player's control as a vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ocngame.curvature import Curvature, CurvatureOperator, State
from ocngame.errors import InvalidInputError, UnsupportedModuleError
from ocngame.games import PlayerGame
from ocngame.games.player_calls import PlayerNetwork
from ocngame.linalg import Columns, damped_inverse
from ocngame.solvers.players.own_block import OwnBlock

__all__ = ["GramBlock", "Layout", "StagewiseBlock"]


class Layout:
    """Where the controls of a network's stages lie in its player's control."""

    def __init__(self, network: PlayerNetwork, game: PlayerGame, player: int):
        """Find the parameters of every stage.

        Args:
            network: The player's network.
            game: The game.
            player: The player's number.

        Raises:
            UnsupportedModuleError: if two stages share a parameter and not the layer.
        """
        self.controls = network.controls
        sizes = [p.numel() for p in game.parameters[player]]
        self._shapes = [p.shape for p in game.parameters[player]]
        self._sizes = sizes
        place = {id(p): k for k, p in enumerate(game.parameters[player])}
        self._owned = [[place[id(p)] for p in parameters] for parameters in network.parameters]
        taken = [k for own in self._owned for k in own]
        if len(set(taken)) < len(taken):
            raise UnsupportedModuleError(
                f"players: two stages of {network.name!r} share a parameter, which then has no "
                "own block by stages; use another curvature"
            )

    def split(self, v: Tensor) -> list[Tensor]:
        """Give the control of every stage.

        Args:
            v: Shape (m_i,).

        Returns:
            Matrices of shape (o, i).
        """
        parts = v.split(self._sizes)
        return [
            control.join([parts[k].view(self._shapes[k]) for k in own])
            for control, own in zip(self.controls, self._owned, strict=True)
        ]

    def join(self, stages: Sequence[Tensor], rest: Tensor) -> Tensor:
        """Put the controls of the stages, and what is outside of them, together.

        Args:
            stages: Matrices of shape (o, i).
            rest: Shape (m_i,), read outside of the stages.

        Returns:
            Shape (m_i,).
        """
        parts = list(rest.split(self._sizes))
        for control, own, stage in zip(self.controls, self._owned, stages, strict=True):
            for k, part in zip(own, control.split(stage), strict=True):
                parts[k] = part.reshape(-1)
        return torch.cat(parts)


@dataclass(frozen=True, kw_only=True)
class StagewiseBlock(OwnBlock):
    """One operator per stage.

    Attributes:
        layout: Where the stages lie.
        rules: Curvature rule of every stage.
        states: Its state, factorised for one damping.
        factorised: That damping.
        rest: Diagonal for what is outside of the stages, shape (m_i,).
    """

    layout: Layout
    rules: Sequence[Curvature]
    states: Sequence[State]
    factorised: float
    rest: Tensor

    def matmul(self, v: Tensor, damping: float) -> Tensor:
        """Multiply stage by stage."""
        pairs = zip(self._operators(damping), self.layout.split(v), strict=True)
        return self.layout.join([op.matmul(part) for op, part in pairs], (self.rest + damping) * v)

    def solve(self, v: Tensor, damping: float) -> Tensor:
        """Solve stage by stage."""
        pairs = zip(self._operators(damping), self.layout.split(v), strict=True)
        return self.layout.join([op.solve(part) for op, part in pairs], v / (self.rest + damping))

    @cached_property
    def _made(self) -> dict[float, list[CurvatureOperator]]:
        return {}

    def _operators(self, damping: float) -> list[CurvatureOperator]:
        made = self._made
        if damping not in made:
            made[damping] = [
                rule.operator(
                    state if damping == self.factorised else rule.refresh(state, damping), damping
                )
                for rule, state in zip(self.rules, self.states, strict=True)
            ]
        return made[damping]


@dataclass(frozen=True, kw_only=True)
class GramBlock(OwnBlock):
    """`lambda I + (1/B) Z Z'` over all stages of a network.

    Attributes:
        layout: Where the stages lie.
        columns: Columns of every stage, unscaled.
        rest: Diagonal for what is outside of the stages, shape (m_i,).
    """

    layout: Layout
    columns: Sequence[Columns]
    rest: Tensor

    def matmul(self, v: Tensor, damping: float) -> Tensor:
        """Give `lambda v + (1/B) Z Z' v`."""
        parts = self.layout.split(v)
        weights = self._inner(parts) / self._samples
        images = [z.combine(weights) for z in self.columns]
        pairs = zip(images, parts, strict=True)
        moved = [image + damping * part for image, part in pairs]
        return self.layout.join(moved, (self.rest + damping) * v)

    def solve(self, v: Tensor, damping: float) -> Tensor:
        """Solve in the space of the columns."""
        if not damping > 0:
            raise InvalidInputError(f"damping: expected more than 0 for GramOwn, got {damping!r}")
        parts = self.layout.split(v)
        inner = self._inner(parts)
        weights = (self._inverse(damping) @ inner.flatten()).view_as(inner) / self._samples
        pairs = zip(parts, self.columns, strict=True)
        moved = [(part - z.combine(weights)) / damping for part, z in pairs]
        return self.layout.join(moved, v / (self.rest + damping))

    @property
    def _samples(self) -> int:
        return self.columns[0].count[1]

    def _inner(self, parts: Sequence[Tensor]) -> Tensor:
        """Give `Z' v`, shape (R, B)."""
        pairs = zip(self.columns, parts, strict=True)
        return torch.stack([z.inner(part) for z, part in pairs]).sum(0)

    @cached_property
    def _gram(self) -> Tensor:
        return torch.stack([z.gram(z) for z in self.columns]).sum(0) / self._samples

    @cached_property
    def _made(self) -> dict[float, Tensor]:
        return {}

    def _inverse(self, damping: float) -> Tensor:
        made = self._made
        if damping not in made:
            made[damping] = damped_inverse(self._gram, damping)
        return made[damping]
