r"""Open-loop Stackelberg: the leader announces its whole control sequence, the others answer it.

Basar & Olsder, 2nd ed., section 7.2. The followers i answer by the open-loop Nash equilibrium of
their own game (for one follower its optimum), so their first-order conditions are constraints of
the leader's problem,

    lambda^i_t = Q^i x_t + q^i + M^i u_t + A' lambda^i_{t+1},      lambda^i_T = Q^i_T x_T + q^i_T
    0 = [ R^i u_t + r^i + M^i' x_t + B' lambda^i_{t+1} ]_i

with multipliers xi^i (a state that runs forward from xi^i_0 = 0, since the leader is bound by no
past) and nu^i (of the size of u^i). The first-order conditions of the leader's Lagrangian over
`X = (x, xi)`, `U = (u, nu)` and costates `(mu, lambda)` are those of one linear-quadratic problem

    A^ = diag(A, A, ..)      Q^ = [ Q^L  Q^i ]     R^ = [ R^L        R^i[:, i] ]
    B^ = [ B   0  ]               [ Q^i   0  ]          [ R^i[i, :]      0     ]
         [ 0  B_i ]          M^ = [ M^L  M^i[:, i] ]
                                  [ M^i      0     ]

which is indefinite, so it is solved for its stationary point by the recursion of one player.

Players' costs are first brought to one size, since the recursion would mix their units.

Second order: each follower's cost is strictly convex in its own sequence (`best_response`), the
followers' own boundary-value problem is regular, and the leader's cost is strictly convex on the
constraints. The stage matrices `R^ + B^' P B^` are the pivots of the leader's optimality system, so
by additivity of inertia the last holds if and only if they have as many positive eigenvalues as
there are controls u, and as many negative ones as multipliers nu, over all stages together
(Haynsworth, 1968).
"""

from dataclasses import replace

import torch
from torch import Tensor

from ocngame.bellman import (
    AffinePolicy,
    BackwardPass,
    DenseStage,
    StageRule,
    backward_pass,
    constant_policies,
    evaluate_policies,
    lq_stages,
    lq_terminal,
    play_policies,
    stack_policies,
)
from ocngame.games import InformationStructure, LQGame
from ocngame.games.control_slices import slices_of
from ocngame.solvers.lq.existence import ExistenceRule, Fault, LQCertificate, join, judge
from ocngame.solvers.lq.feedback import control_scale
from ocngame.solvers.lq.open_loop import solve_by_costates
from ocngame.solvers.lq.status import Status, code_of
from ocngame.solvers.lq.units import costs_of_one_size

__all__ = ["leaders_problem", "solve_announced"]


def solve_announced(
    game: LQGame, leader: int, x0: Tensor, existence: ExistenceRule
) -> tuple[AffinePolicy, BackwardPass, LQCertificate, Fault]:
    """Solve the game from given initial states.

    Args:
        game: The game, its batch that of the initial states.
        leader: Who announces its sequence.
        x0: Initial states, shape (..., n).
        existence: How far from the border of existence counts as existing.

    Returns:
        The sequences as policies that do not react, a pass with the values of playing them, the
        evidence and the verdict. The leader's own curvature is the smallest of the eigenvalues of a
        stage that have to be positive.
    """
    told, game = game, costs_of_one_size(game)
    lifted = leaders_problem(game, leader)
    whole = StageRule(slices=lifted.control_slices)
    stages = [DenseStage(quadratic=quadratic, rule=whole) for quadratic in lq_stages(lifted)]
    found = backward_pass(stages, lq_terminal(lifted))
    certificate = join(found.certificates, control_scale(lifted, whole))
    start = torch.cat([x0, x0.new_zeros(*x0.shape[:-1], lifted.state_size - x0.shape[-1])], dim=-1)
    _, controls = play_policies(lifted, stack_policies(found.policies), start)
    policies = constant_policies(controls[..., : game.control_size], game.state_size)
    curvatures = torch.stack([c.curvature[0].detach() for c in found.certificates], dim=-3)
    values, scale = _eigenvalues(curvatures)
    answer = _answer(game, leader)
    evidence = _evidence(game, leader, certificate, values, scale, answer)
    fault = _verdict(game, leader, existence, evidence, values, scale)
    return policies, evaluate_policies(told, policies), evidence, fault


def leaders_problem(game: LQGame, leader: int) -> LQGame:
    """Give the leader's problem as a stationary problem of one player.

    Args:
        game: The game.
        leader: Who announces its sequence.

    Returns:
        A game of one player with state (x, xi) and control (u, nu); it is not convex.
    """
    others = [i for i in range(game.player_count) if i != leader]
    n, m, blocks = game.state_size, game.control_size, [game.control_slices[i] for i in others]
    F, size = len(others), sum(block.stop - block.start for block in blocks)

    def costs(name: str, i: int) -> Tensor:
        piece = getattr(game, name)
        return piece.select(-3 if name in {"q", "r"} else -4, i)

    def rows(*parts: Tensor) -> Tensor:
        return torch.cat(parts, dim=-2)

    def columns(*parts: Tensor) -> Tensor:
        return torch.cat(parts, dim=-1)

    def nothing(like: Tensor, height: int, width: int) -> Tensor:
        return like.new_zeros(*like.shape[:-2], height, width)

    own = dict(zip(others, blocks, strict=True))
    Q = rows(
        columns(costs("Q", leader), *(costs("Q", i) for i in others)),
        *(columns(costs("Q", i), nothing(game.Q[..., 0, :, :, :], n, n * F)) for i in others),
    )
    R = rows(
        columns(costs("R", leader), *(costs("R", i)[..., own[i]] for i in others)),
        *(
            columns(costs("R", i)[..., own[i], :], nothing(game.A, _width(own[i]), size))
            for i in others
        ),
    )
    M = rows(
        columns(costs("M", leader), *(costs("M", i)[..., own[i]] for i in others)),
        *(columns(costs("M", i), nothing(game.A, n, size)) for i in others),
    )
    moved = [nothing(game.A, n, m)] * F
    spread = [nothing(game.A, n, size)]
    start = 0
    for block in blocks:
        stop = start + _width(block)
        part = nothing(game.A, n, size)
        part[..., start:stop] = game.B[..., block]
        spread.append(part)
        start = stop
    zero = nothing(game.A, n, n)
    A = rows(*(columns(*(game.A if j == k else zero for k in range(F + 1))) for j in range(F + 1)))
    return LQGame(
        A=A,
        B=columns(rows(game.B, *moved), rows(*spread)),
        c=columns(game.c, game.c.new_zeros(*game.c.shape[:-1], n * F)) if game.has_offset else None,
        Q=Q.unsqueeze(-4),
        q=columns(costs("q", leader), *(costs("q", i) for i in others)).unsqueeze(-3),
        R=R.unsqueeze(-4),
        r=columns(costs("r", leader), *(costs("r", i)[..., own[i]] for i in others)).unsqueeze(-3),
        M=M.unsqueeze(-4),
        control_slices=(slice(0, m + size),),
    )


def _width(block: slice) -> int:
    return block.stop - block.start


def _answer(game: LQGame, leader: int) -> LQCertificate | None:
    """Give the evidence of the followers' own open-loop game; None without followers."""
    others = [i for i in range(game.player_count) if i != leader]
    if not others:
        return None
    blocks = [game.control_slices[i] for i in others]
    kept = torch.tensor([c for block in blocks for c in range(block.start, block.stop)])
    kept, chosen = kept.to(game.A.device), torch.tensor(others, device=game.A.device)
    R = game.R.index_select(-4, chosen).index_select(-1, kept).index_select(-2, kept)
    among = LQGame(
        A=game.A,
        B=game.B.index_select(-1, kept),
        Q=game.Q.index_select(-4, chosen),
        R=R,
        M=game.M.index_select(-4, chosen).index_select(-1, kept),
        control_slices=slices_of([_width(block) for block in blocks]),
    )
    rule = StageRule(slices=among.control_slices, information=InformationStructure.OPEN_LOOP)
    return solve_by_costates(among, rule).certificate


def _eigenvalues(stages: Tensor) -> tuple[Tensor, Tensor]:
    """Give eigenvalues (..., T, k), ascending, and the largest magnitudes (..., T)."""
    finite = torch.isfinite(stages).all(-1).all(-1)
    safe = torch.where(finite[..., None, None], stages, 0)
    values = torch.linalg.eigvalsh(0.5 * (safe + safe.mT))
    values = torch.where(finite.unsqueeze(-1), values, torch.nan)
    return values, values.abs().amax(-1)


def _evidence(
    game: LQGame,
    leader: int,
    certificate: LQCertificate,
    values: Tensor,
    scale: Tensor,
    answer: LQCertificate | None,
) -> LQCertificate:
    """Join the evidence of the leader and of the followers, in the order of the players."""
    mine = values[..., values.shape[-1] - game.control_size].unsqueeze(-2), scale.unsqueeze(-2)
    if answer is None:
        return replace(certificate, own_curvature=mine[0], curvature_scale=mine[1])
    both = zip(mine, (answer.own_curvature, answer.curvature_scale), strict=True)
    parts = [
        torch.cat([rest[..., :leader, :], own, rest[..., leader:, :]], dim=-2) for own, rest in both
    ]
    return replace(
        certificate,
        own_curvature=parts[0],
        curvature_scale=parts[1],
        pivot=torch.minimum(certificate.pivot, answer.pivot),
    )


def _verdict(
    game: LQGame,
    leader: int,
    existence: ExistenceRule,
    evidence: LQCertificate,
    values: Tensor,
    scale: Tensor,
) -> Fault:
    """Ask the followers' evidence stage by stage, and the leader's inertia over all stages."""
    least, _ = existence.resolved(values.dtype)
    leading = torch.full_like(evidence.own_curvature[..., leader, :], torch.inf).unsqueeze(-2)
    followers = evidence.own_curvature
    followers = torch.cat(
        [followers[..., :leader, :], leading, followers[..., leader + 1 :, :]], -2
    )
    scales = evidence.curvature_scale
    kind = Status.CONDENSED_CURVATURE
    asked = replace(
        evidence, own_curvature=followers.nan_to_num(posinf=1e300), curvature_scale=scales
    )
    broken = torch.isnan(followers).any(-2) | torch.isnan(values).any(-1)
    asked = replace(asked, pivot=torch.where(broken, torch.nan, evidence.pivot))
    fault = judge(asked, existence, kind, Status.SINGULAR_BOUNDARY)
    below = values <= least * scale.unsqueeze(-1)
    wanted = game.horizon * (values.shape[-1] - game.control_size)
    wrong = (fault.codes == 0) & (below.sum((-2, -1)) > wanted)
    short = values[..., values.shape[-1] - game.control_size] <= least * scale
    stages = torch.arange(game.horizon, device=values.device)
    last = torch.where(short, stages, -1).amax(-1)
    return Fault(
        codes=fault.codes.masked_fill(wrong, code_of(kind)),
        stage=torch.where(wrong, last, fault.stage),
        player=fault.player.masked_fill(wrong, leader),
    )
