r"""Cooperation of players who act at the same stage.

Of two parallel branches the player of the shorter one, a shortcut's say, sits beside a stage of the
longer one. The two move as a pair by the joint Kronecker curvature with the block between them
(`ocngame.curvature.pair`) instead of each by its own block.

Where the player sits is fixed, or an arm of a bandit. The reward of a step is the decrease D of the
loss in units of its running mean, `1 / (1 + exp(-D / mean |D|))`: the decrease that was measured
for the step where it was judged, else the difference of the losses of two batches.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ocngame._checks import in_range
from ocngame.curvature import PairFactors
from ocngame.games.alignment import Parallel
from ocngame.linalg import Columns, OuterColumns
from ocngame.solvers.ocnopt.bandit import Exp3

__all__ = [
    "AlignmentRule",
    "BanditAlignment",
    "Cooperation",
    "CooperationState",
    "FixedAlignment",
    "PairState",
]


class AlignmentRule(ABC):
    """Chooses the place of a player among those that there are."""

    @abstractmethod
    def choose(self, weights: Tensor, generator: torch.Generator) -> int:
        """Give the number of a place, for weights of shape (places,)."""

    @abstractmethod
    def learned(self, weights: Tensor, place: int, reward: float) -> Tensor:
        """Give the weights after a reward in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class FixedAlignment(AlignmentRule):
    """One place for ever.

    Attributes:
        last: Whether the player sits beside the last stage of the branch, or beside the first.
    """

    last: bool = True

    def choose(self, weights: Tensor, generator: torch.Generator) -> int:
        """Give the last place or the first."""
        return len(weights) - 1 if self.last else 0

    def learned(self, weights: Tensor, place: int, reward: float) -> Tensor:
        """Give the weights unchanged."""
        return weights


@dataclass(frozen=True, kw_only=True)
class BanditAlignment(AlignmentRule):
    """The place is an arm of a bandit.

    Attributes:
        bandit: The bandit.
    """

    bandit: Exp3 = field(default_factory=Exp3)

    def choose(self, weights: Tensor, generator: torch.Generator) -> int:
        """Draw a place."""
        return self.bandit.draw(weights, generator)

    def learned(self, weights: Tensor, place: int, reward: float) -> Tensor:
        """Give the weights after the bandit's update."""
        return self.bandit.rewarded(weights, place, reward)


@dataclass(frozen=True)
class PairState:
    """What is remembered of one player and its places.

    Attributes:
        weights: The alignment rule's weights of the places.
        place: The place of the last step.
        factors: Joint factors (left, right) with every place, None where it has not sat yet.
        count: Number of steps at every place.
    """

    weights: Tensor
    place: int
    factors: tuple[tuple[Tensor, Tensor] | None, ...]
    count: tuple[int, ...]


@dataclass(frozen=True)
class CooperationState:
    """What is remembered of all pairs.

    Attributes:
        pairs: One state per pair.
        scale: Running mean of |D|, zero before the first step was judged.
    """

    pairs: tuple[PairState, ...]
    scale: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Cooperation:
    """Settings of the cooperation.

    Attributes:
        alignment: Where players of shortcuts sit.
        decay: Memory of the joint factors and of the scale of rewards, in [0, 1).
    """

    alignment: AlignmentRule = field(default_factory=FixedAlignment)
    decay: float = 0.95

    def __post_init__(self) -> None:
        """Validate the settings."""
        in_range("decay", self.decay, low=0.0, high=1.0, high_open=True)

    def init(self, pairs: Sequence[Parallel]) -> CooperationState:
        """Give the state before the first step.

        Args:
            pairs: The pairs of the game.

        Returns:
            The state.
        """
        return CooperationState(
            tuple(
                PairState(
                    torch.zeros(len(pair.places), dtype=torch.float64),
                    0,
                    (None,) * len(pair.places),
                    (0,) * len(pair.places),
                )
                for pair in pairs
            )
        )

    def learned(self, state: CooperationState, decrease: float) -> CooperationState:
        """Take in what the last step achieved.

        Args:
            state: The state after the last step.
            decrease: Measured decrease of the loss, NaN if it was not measured.

        Returns:
            The new state.
        """
        if not math.isfinite(decrease):
            return state
        scale = abs(decrease) if state.scale == 0 else state.scale
        scale = self.decay * scale + (1 - self.decay) * abs(decrease)
        reward = 0.5 * (1.0 + math.tanh(0.5 * decrease / scale)) if scale > 0 else 0.5
        pairs = tuple(
            replace(pair, weights=self.alignment.learned(pair.weights, pair.place, reward))
            for pair in state.pairs
        )
        return CooperationState(pairs, scale)

    def move(
        self,
        state: CooperationState,
        players: Sequence[tuple[int, tuple[int, ...]]],
        moves: list[Tensor],
        gradients: Sequence[Tensor],
        columns: Sequence[Columns] | None,
        damping: float,
        generator: torch.Generator,
    ) -> tuple[list[Tensor], CooperationState]:
        """Let pairs move together.

        Args:
            state: The state.
            players: For every pair the number of its player's control and of those it can sit by.
            moves: Moves of all controls without cooperation.
            gradients: Gradients of all controls.
            columns: Columns of all controls; None where they were not measured: the pairs then stay
                where they sit and move by what they remember.
            damping: lambda.
            generator: Source of the bandit's draws.

        Returns:
            The moves with those of the pairs replaced, and the new state.
        """
        moves, after = list(moves), []
        for pair, (player, places) in zip(state.pairs, players, strict=True):
            now = pair
            if columns is not None:
                place = self.alignment.choose(pair.weights, generator)
                now = self._seen(pair, place, columns[player], columns[places[place]])
            after.append(now)
            kept, other = now.factors[now.place], places[now.place]
            if kept is None:
                continue
            u, v = gradients[player], gradients[other]
            sizes = ((u.shape[0], u.shape[1]), (v.shape[0], v.shape[1]))
            joint = PairFactors(*kept, sizes).damped(damping)
            du, dv = joint.solve(u, v)
            moves[player], moves[other] = -du, -dv
        return moves, replace(state, pairs=tuple(after))

    def _seen(self, pair: PairState, place: int, u: Columns, v: Columns) -> PairState:
        """Take in a batch's joint factors."""
        if not isinstance(u, OuterColumns) or not isinstance(v, OuterColumns):
            return replace(pair, place=place)
        new = PairFactors.of(u, v)
        old, count = pair.factors[place], pair.count[place]
        left, right = new.left, new.right
        if old is not None:
            weight = max(1.0 - self.decay, 1.0 / (count + 1))
            left, right = old[0].lerp(left, weight), old[1].lerp(right, weight)
        factors, counts = list(pair.factors), list(pair.count)
        factors[place], counts[place] = (left, right), count + 1
        return PairState(pair.weights, place, tuple(factors), tuple(counts))
