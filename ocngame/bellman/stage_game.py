r"""The stage game: every player's quadratic Q-function is given, a joint affine policy is sought.

With control slices `u = (u^1, .., u^N)`, every information structure gives a linear condition
`S du + s + Y dx = 0`, whose row block i is what player i demands:

* feedback Nash, zero-sum, and open loop with costates in the place of value gradients (Basar &
  Olsder, 2nd ed., Corollary 6.1 and Theorem 6.2):
  `q_u,i^(i) + sum_j q_uu,ij^(i) du^j + q_ux,i^(i) dx = 0`;
* own block: the same with `S` reduced to its diagonal blocks;
* cooperative with weights w: `sum_i w_i Q^i` is minimised jointly;
* Stackelberg, leader L (Basar & Olsder, section 7.3): the others' rows are those of feedback Nash
  and answer the leader by `du^F = C du^L + ..`; with `Z = d(du) / d(du^L)` (identity in the
  leader's rows, C in the others') the leader's row is `Z' (q_u^(L) + q_uu^(L) du + q_ux^(L) dx)`.

Each row of S is divided by its largest entry before the solve, so the answer and the certificate
do not depend on the units of a player's cost.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from ocngame.bellman.expansions import QExpansion
from ocngame.bellman.policy import AffinePolicy
from ocngame.errors import InvalidInputError
from ocngame.games.information import InformationStructure
from ocngame.linalg import pivoted_solve, smallest_eigenvalue

__all__ = [
    "StageCertificate",
    "StageCondition",
    "StageRule",
    "solve_condition",
    "solve_stage",
    "stage_condition",
]


@dataclass(frozen=True, kw_only=True)
class StageRule:
    """Who moves at a stage, and under which information.

    Attributes:
        slices: Each player's slice of the joint control.
        information: The information structure.
        weights: Weights of the players' costs, shape (..., N), for cooperative play (all one if
            None).
        leader: Index of the player that moves first, for Stackelberg play.
    """

    slices: tuple[slice, ...]
    information: InformationStructure = InformationStructure.FEEDBACK
    weights: Tensor | None = None
    leader: int | None = None

    @cached_property
    def own_rows(self) -> Tensor:
        """Where row r of player i's matrix stands among the rows (r, i) of all players, i fastest.

        One entry per control, in the order of the players.
        """
        players = len(self.slices)
        return torch.tensor(
            [
                row * players + i
                for i, block in enumerate(self.slices)
                for row in range(block.start, block.stop)
            ]
        )


@dataclass(frozen=True, kw_only=True)
class StageCondition:
    """The condition `S du + s + Y dx = 0` of a stage.

    Attributes:
        system: S, shape (..., m, m).
        slope: s, shape (..., m).
        mixed: Y, shape (..., m, n).
        curvature: The Hessian that each decision maker minimises, shapes (..., m_i, m_i): the
            players in order, or the coalition alone.
        regular: False where a part of the condition itself had no solution (followers who have no
            answer to the leader), shape (...); None if there is no such part.
    """

    system: Tensor
    slope: Tensor
    mixed: Tensor
    curvature: tuple[Tensor, ...]
    regular: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class StageCertificate:
    """What the stage condition said about existence.

    Attributes:
        curvature: The Hessian that each decision maker minimises, shapes (..., m_i, m_i).
        system: The matrix S, each row divided by its largest entry, shape (..., m, m).
        pivots: Pivots of the system's LU factorisation, shape (..., m).
        regular: False where a part of the condition itself had no solution, shape (...); None if
            there is no such part.
    """

    curvature: tuple[Tensor, ...]
    system: Tensor
    pivots: Tensor
    regular: Tensor | None = None

    @cached_property
    def pivot(self) -> Tensor:
        """Ratio of the smallest to the largest pivot of the system, shape (...).

        A cheap measure of its distance from a singular one; zero where the condition itself had no
        solution.
        """
        pivots = self.pivots.abs()
        ratio = pivots.amin(-1) / pivots.amax(-1).clamp_min(torch.finfo(pivots.dtype).tiny)
        return ratio if self.regular is None else torch.where(self.regular, ratio, 0)

    @cached_property
    def own_curvature(self) -> Tensor:
        """Smallest eigenvalue of each decision maker's Hessian, shape (..., N); NaN stays NaN.

        Each needs to be positive for the stationary policy to be a best one.
        """
        return torch.stack([smallest_eigenvalue(block) for block in self.curvature], dim=-1)


def solve_stage(q: QExpansion, rule: StageRule) -> tuple[AffinePolicy, StageCertificate]:
    """Solve one stage game.

    Args:
        q: Expansion of every player's Q-function.
        rule: Control slices, information structure, weights and leader.

    Returns:
        The joint policy and the certificate. A singular system gives non-finite policies, which
        the caller must reject: nothing is shifted here.

    Raises:
        InvalidInputError: if the rule lacks a leader that it needs.
    """
    return solve_condition(stage_condition(q, rule))


def solve_condition(condition: StageCondition) -> tuple[AffinePolicy, StageCertificate]:
    """Solve the linear condition of a stage.

    Args:
        condition: The condition.

    Returns:
        The joint policy and the certificate, as `solve_stage` does.
    """
    size = condition.system.detach().abs().amax(-1, keepdim=True)
    size = size.clamp_min(torch.finfo(size.dtype).tiny)
    system = condition.system / size
    right = torch.cat([condition.slope.unsqueeze(-1), condition.mixed], dim=-1) / -size
    solution, pivots = pivoted_solve(system, right)
    if condition.regular is not None:
        solution = torch.where(condition.regular[..., None, None], solution, torch.nan)
    policy = AffinePolicy(feedforward=solution[..., 0], feedback=solution[..., 1:])
    certificate = StageCertificate(
        curvature=condition.curvature,
        system=system,
        pivots=pivots,
        regular=condition.regular,
    )
    return policy, certificate


def stage_condition(q: QExpansion, rule: StageRule) -> StageCondition:
    """Give the linear condition of a stage.

    Args:
        q: Expansion of every player's Q-function.
        rule: Control slices, information structure, weights and leader.

    Returns:
        The condition, rows in the order of the players.

    Raises:
        InvalidInputError: if the rule lacks a leader that it needs.
    """
    match rule.information:
        case InformationStructure.COOPERATIVE:
            return _coalition(q, rule.weights)
        case InformationStructure.STACKELBERG:
            if rule.leader is None:
                raise InvalidInputError("leader: expected the index of a player, got None")
            return _leader_first(q, rule, rule.leader)
        case InformationStructure.OWN_BLOCK:
            nash = _every_own_row(q, rule)
            mask = torch.zeros_like(nash.system, dtype=torch.bool)
            row = 0
            for block in rule.slices:
                mask[..., row : row + block.stop - block.start, block] = True
                row += block.stop - block.start
            return StageCondition(
                system=nash.system.where(mask, 0),
                slope=nash.slope,
                mixed=nash.mixed,
                curvature=nash.curvature,
            )
        case _:
            return _every_own_row(q, rule)


def _every_own_row(q: QExpansion, rule: StageRule) -> StageCondition:
    rows = rule.own_rows.to(q.q_u.device)
    system = q.q_uu.transpose(-3, -2).flatten(-3, -2).index_select(-2, rows)
    edges = list(accumulate((block.stop - block.start for block in rule.slices), initial=0))
    own = zip(edges, edges[1:], rule.slices, strict=False)
    return StageCondition(
        system=system,
        slope=q.q_u.mT.flatten(-2).index_select(-1, rows),
        mixed=q.q_ux.transpose(-3, -2).flatten(-3, -2).index_select(-2, rows),
        curvature=tuple(system[..., start:stop, block] for start, stop, block in own),
    )


def _coalition(q: QExpansion, weights: Tensor | None) -> StageCondition:
    w = q.q_u.new_ones(q.q_u.shape[-2]) if weights is None else weights.to(q.q_u)
    system = (w[..., None, None] * q.q_uu).sum(-3)
    return StageCondition(
        system=system,
        slope=(w[..., None] * q.q_u).sum(-2),
        mixed=(w[..., None, None] * q.q_ux).sum(-3),
        curvature=(system,),
    )


def _leader_first(q: QExpansion, rule: StageRule, leader: int) -> StageCondition:
    nash, slices = _every_own_row(q, rule), rule.slices
    sizes = [block.stop - block.start for block in slices]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    own = torch.arange(slices[leader].start, slices[leader].stop, device=q.q_u.device)
    columns = [
        torch.arange(block.start, block.stop, device=q.q_u.device)
        for i, block in enumerate(slices)
        if i != leader
    ]
    answer = torch.eye(q.q_u.shape[-1], dtype=q.q_u.dtype, device=q.q_u.device)[:, own]
    answer = answer.expand(*q.q_u.shape[:-2], *answer.shape)
    regular = None
    if columns:
        others = torch.cat(columns)
        start = starts[leader]
        rows = torch.cat(
            [nash.system[..., :start, :], nash.system[..., start + sizes[leader] :, :]], dim=-2
        )
        reply, info = torch.linalg.solve_ex(rows[..., others], -rows[..., own])
        regular = info == 0
        answer = answer.index_copy(answer.ndim - 2, others, reply)
    first = torch.cat([q.q_uu[..., leader, :, :], q.q_ux[..., leader, :, :]], dim=-1)
    first = answer.mT @ first
    slope = (answer.mT @ q.q_u[..., leader, :, None]).squeeze(-1)
    curvature = list(nash.curvature)
    curvature[leader] = first[..., : q.q_u.shape[-1]] @ answer
    rows = slice(starts[leader], starts[leader] + sizes[leader])
    return StageCondition(
        system=_replaced(nash.system, rows, first[..., : q.q_u.shape[-1]]),
        slope=_replaced(nash.slope.unsqueeze(-1), rows, slope.unsqueeze(-1)).squeeze(-1),
        mixed=_replaced(nash.mixed, rows, first[..., q.q_u.shape[-1] :]),
        curvature=tuple(curvature),
        regular=regular,
    )


def _replaced(matrix: Tensor, rows: slice, by: Tensor) -> Tensor:
    return torch.cat([matrix[..., : rows.start, :], by, matrix[..., rows.stop :, :]], dim=-2)
