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
from typing import ClassVar

from torch import Tensor

from ocngame._checks import integer
from ocngame.curvature.base import Curvature, State
from ocngame.curvature.kronecker import KroneckerCurvature
from ocngame.curvature.operators import KroneckerOperator
from ocngame.linalg import Columns

__all__ = ["FictitiousPlayers"]


@dataclass(frozen=True, kw_only=True)
class FictitiousPlayers(Curvature):
    """Kronecker curvature of a layer whose outputs belong to several players with own blocks.

    Attributes:
        count: Number N of players for each control; a control with fewer rows has one per row.
        decay: Memory of the factors, in [0, 1).
    """

    needs_factors: ClassVar[bool] = True
    sizes: ClassVar[tuple[str, ...]] = KroneckerCurvature.sizes

    count: int = 2
    decay: float = 0.95

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("count", self.count, low=1)
        KroneckerCurvature(decay=self.decay)

    def init(self, shape: tuple[int, int], like: Tensor) -> State:
        """Give factors of zeros, the output side with one block per player."""
        rows = self.players(shape[0])[0].stop
        left = like.new_zeros(len(self.players(shape[0])), rows, rows)
        return self._whole.init(shape, like) | {"left": left, "left_inverse": left.clone()}

    def update(self, state: State, columns: Columns | None, gradient: Tensor) -> State:
        """Take in the factors of a batch, of which the players see their own blocks."""
        return self._whole.update(state, columns, gradient)

    def refresh(self, state: State, damping: Tensor | float) -> State:
        """Invert the damped factors, player by player."""
        return self._whole.refresh(state, damping)

    def operator(self, state: State, damping: Tensor | float) -> KroneckerOperator:
        """Give the damped product with the cached inverses."""
        return self._whole.operator(state, damping)

    def players(self, rows: int) -> list[slice]:
        """Deal out the rows of a control.

        Args:
            rows: Their number o.

        Returns:
            The rows of each player, in order: equal numbers, and what remains for the last.
        """
        each = -(-rows // min(self.count, rows))
        return [slice(start, min(start + each, rows)) for start in range(0, rows, each)]

    @property
    def _whole(self) -> KroneckerCurvature:
        return KroneckerCurvature(decay=self.decay)
