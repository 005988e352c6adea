"""The stage game with all Hessians as matrices, solved by the functions of `ocngame.bellman`.

The move answers the slope at the true curvatures, so it vanishes where the stage condition holds,
however much the system is damped or negative curvatures taken out.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ocngame.bellman import QExpansion, StageRule, solve_condition, stage_condition
from ocngame.games import GamePoint, InformationStructure
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
        self._rule = rule
        condition = stage_condition(q, rule)
        self.slope, self._system = condition.slope, condition.system
        if own.diagonal is not None:
            q = _with_own(q, rule, own.diagonal)
        self._positive, self._removed = _positive(q, rule)

    def product(self, direction: Tensor) -> Tensor:
        """Multiply with S."""
        return self._system @ direction

    def solve(self, damping: float, start: Tensor | None) -> Move:
        """Solve by LU; a singular system gives a move that is not finite."""
        q = self._positive
        for player in _makers(self._rule):
            size = len(_own(q, self._rule, player))
            q = _added(q, self._rule, player, damping * torch.eye(size).to(self.slope))
        condition = replace(stage_condition(q, self._rule), slope=self.slope)
        policy, _ = solve_condition(condition)
        return Move(direction=policy.feedforward, products=self._products, removed=self._removed)


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


def _with_own(q: QExpansion, rule: StageRule, diagonal: Tensor) -> QExpansion:
    """Let a diagonal stand for the own blocks, or for the coalition's whole Hessian."""
    q_uu = q.q_uu.clone()
    if rule.information is InformationStructure.COOPERATIVE:
        total = _weights(q, rule).sum()
        return replace(q, q_uu=torch.diag(diagonal).expand_as(q_uu) / total)
    for i, block in enumerate(rule.slices):
        q_uu[i, block, block] = torch.diag(diagonal[block])
    return replace(q, q_uu=q_uu)


def _positive(q: QExpansion, rule: StageRule) -> tuple[QExpansion, int]:
    """Take negative eigenvalues of every decision maker's Hessian out, and count them."""
    removed = 0
    for player in _makers(rule):
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
