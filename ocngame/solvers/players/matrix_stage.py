"""The stage game with all Hessians as matrices, solved by the functions of `ocngame.bellman`.

The move answers the slope at the true curvatures, so it vanishes where the stage condition holds,
however much the system is damped or negative curvatures taken out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ocngame.bellman import QExpansion, StageRule, solve_condition, stage_condition
from ocngame.games import GamePoint, InformationStructure
from ocngame.solvers.players.own_block import dense_block
from ocngame.solvers.players.stage import Move, OwnBlocks, Stage, StageSolve

__all__ = ["DenseSolve", "MatrixStage", "expansion"]


@dataclass(frozen=True, kw_only=True)
class DenseSolve(StageSolve):
    """All Hessians as matrices, the stage game of `ocngame.bellman`; for small games."""

    def stage(self, point: GamePoint, rule: StageRule, own: OwnBlocks) -> Stage:
        """Give the stage with its matrices."""
        return MatrixStage(point, rule, own)


class MatrixStage(Stage):
    """A stage with its matrices.

    Attributes:
        slope: s, shape (m,).
    """

    def __init__(self, point: GamePoint, rule: StageRule, own: OwnBlocks):
        """Expand all costs.

        Args:
            point: The game where it is played.
            rule: Slices, condition, weights, leader.
            own: What stands for the own blocks; negative eigenvalues are found exactly.
        """
        before = point.products
        q = expansion(point.gradients, point.hessians())
        self._products = point.products - before
        self._rule, self._blocks = rule, own.of_makers(rule)
        condition = stage_condition(q, rule)
        self.slope, self._system = condition.slope, condition.system
        self._expansion, self._removed = q, 0
        if self._blocks is None:
            self._expansion, self._removed = _positive(q, rule, _makers(rule))

    def product(self, direction: Tensor) -> Tensor:
        """Multiply with S."""
        return self._system @ direction

    def solve(self, damping: float, start: Tensor | None) -> Move:
        """Solve by LU; a singular system gives a move that is not finite."""
        q, removed = self._damped(damping)
        condition = replace(stage_condition(q, self._rule), slope=self.slope)
        policy, _ = solve_condition(condition)
        return Move(direction=policy.feedforward, products=self._products, removed=removed)

    def _damped(self, damping: float) -> tuple[QExpansion, int]:
        """Give the expansion with positive own blocks, and how many curvatures were removed."""
        q, rule, removed = self._expansion, self._rule, self._removed
        for maker in _makers(rule):
            size = len(_own(q, rule, maker))
            if self._blocks is None:
                q = _added(q, rule, maker, damping * torch.eye(size).to(self.slope))
            else:
                q = _with_own(
                    q, rule, maker, dense_block(self._blocks[maker], self.slope[:size], damping)
                )
        if self._blocks is not None and rule.leader is not None:
            # A leader's Hessian has the followers' answer in it as well.
            q, removed = _positive(q, rule, [rule.leader])
        return q, removed


def expansion(gradients: Tensor, hessians: Tensor) -> QExpansion:
    """Give the expansion of a stage game without a state.

    Args:
        gradients: q_u, shape (N, m).
        hessians: q_uu, shape (N, m, m).

    Returns:
        The expansion with state size 0.
    """
    players, size = gradients.shape
    empty = gradients.new_zeros
    return QExpansion(
        q=empty(players),
        q_x=empty(players, 0),
        q_u=gradients,
        q_xx=empty(players, 0, 0),
        q_ux=empty(players, size, 0),
        q_uu=hessians,
    )


def _makers(rule: StageRule) -> list[int]:
    """Give the decision makers, a leader last: its own Hessian follows from the followers'."""
    if rule.information is InformationStructure.COOPERATIVE:
        return [0]
    first = [i for i in range(len(rule.slices)) if i != rule.leader]
    return first if rule.leader is None else [*first, rule.leader]


def _own(q: QExpansion, rule: StageRule, player: int) -> range:
    """Give the entries of the joint control that a decision maker chooses."""
    if rule.information is InformationStructure.COOPERATIVE:
        return range(q.q_u.shape[-1])
    return range(rule.slices[player].start, rule.slices[player].stop)


def _with_own(q: QExpansion, rule: StageRule, maker: int, matrix: Tensor) -> QExpansion:
    """Let a matrix stand for a decision maker's own block, or for the coalition's Hessian."""
    if rule.information is InformationStructure.COOPERATIVE:
        return replace(q, q_uu=matrix.expand_as(q.q_uu) / _weights(q, rule).sum())
    q_uu, block = q.q_uu.clone(), rule.slices[maker]
    q_uu[maker, block, block] = matrix
    return replace(q, q_uu=q_uu)


def _positive(q: QExpansion, rule: StageRule, makers: Sequence[int]) -> tuple[QExpansion, int]:
    """Take negative eigenvalues of decision makers' Hessians out, and count them."""
    removed = 0
    for player in makers:
        block = stage_condition(q, rule).curvature[player]
        values, vectors = torch.linalg.eigh(0.5 * (block + block.mT))
        if bool((values < 0).any()):
            removed += int((values < 0).sum())
            q = _added(q, rule, player, (vectors * (-values).clamp_min(0)) @ vectors.mT)
    return q, removed


def _added(q: QExpansion, rule: StageRule, player: int, change: Tensor) -> QExpansion:
    """Add a matrix to the Hessian that a decision maker minimises."""
    q_uu = q.q_uu.clone()
    if rule.information is InformationStructure.COOPERATIVE:
        q_uu += change / _weights(q, rule).sum()
    else:
        block = rule.slices[player]
        q_uu[player, block, block] += change
    return replace(q, q_uu=q_uu)


def _weights(q: QExpansion, rule: StageRule) -> Tensor:
    return q.q_u.new_ones(len(rule.slices)) if rule.weights is None else rule.weights.to(q.q_u)
