r"""Fictitious players: one layer's weights, split between players who cooperate or do not.

The rows of a control U (o x i), its outputs, are dealt out to N players. All act on the same input,
so with the Kronecker curvature `B (x) A` the blocks of the players are `B_nm (x) A`:

* own blocks: every player ignores the others' moves, `du_n = -(B_nn^{-1} (x) A^{-1}) Q_n`, that is
  the curvature `blockdiag(B_11 .. B_NN) (x) A`;
* cooperative: the group rational move `-(B (x) A)^{-1} Q_u` of the whole layer.

With one shared cost the second is the feedback Nash equilibrium of the stage too. In between lies
what players who know of some others do. Fewer, larger players are closer to the cooperative move
and cost more: inverting takes `sum_n o_n^3` instead of `o^3` operations.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from ocngame._checks import integer
from ocngame.curvature.base import Curvature, State
from ocngame.curvature.kronecker import KroneckerCurvature, split_damping
from ocngame.curvature.operators import KroneckerOperator
from ocngame.linalg import Columns, damped_inverse

__all__ = ["FictitiousPlayers"]


@dataclass(frozen=True, kw_only=True)
class FictitiousPlayers(Curvature):
    """Kronecker curvature of a layer whose outputs belong to several players with own blocks.

    Attributes:
        count: Number N of players for each control; a control with fewer rows has one per row.
        decay: Memory of the factors, in [0, 1).
    """

    needs_factors: ClassVar[bool] = True

    count: int = 2
    decay: float = 0.95

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("count", self.count, low=1)
        KroneckerCurvature(decay=self.decay)

    def init(self, shape: tuple[int, int], like: Tensor) -> State:
        """Give factors of zeros and inverses of ones."""
        return KroneckerCurvature(decay=self.decay).init(shape, like)

    def update(self, state: State, columns: Columns | None, gradient: Tensor) -> State:
        """Take in the factors of a batch, of which the players see their own blocks."""
        state = KroneckerCurvature(decay=self.decay).update(state, columns, gradient)
        return state | {"left": self._own(state["left"])}

    def refresh(self, state: State, damping: Tensor | float) -> State:
        """Invert the damped factors, player by player.

        Returns:
            The state with new inverses.
        """
        left_shift, right_shift = split_damping(state["left"], state["right"], damping)
        blocks = [
            damped_inverse(state["left"][rows, rows], left_shift)
            for rows in self.players(state["left"].shape[0])
        ]
        return state | {
            "left_inverse": torch.block_diag(*blocks),
            "right_inverse": damped_inverse(state["right"], right_shift),
        }

    def operator(self, state: State, damping: Tensor | float) -> KroneckerOperator:
        """Give the damped product with the cached inverses."""
        return KroneckerCurvature(decay=self.decay).operator(state, damping)

    def players(self, rows: int) -> list[slice]:
        """Deal out the rows of a control.

        Args:
            rows: Their number o.

        Returns:
            The rows of each player, in order, of equal numbers as far as possible.
        """
        count = min(self.count, rows)
        ends = [rows * n // count for n in range(count + 1)]
        return [slice(a, b) for a, b in pairwise(ends)]

    def _own(self, left: Tensor) -> Tensor:
        return torch.block_diag(*(left[rows, rows] for rows in self.players(left.shape[0])))
