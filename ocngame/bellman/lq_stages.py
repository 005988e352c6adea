"""A linear-quadratic game as stages of the Bellman recursion, and policies played on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.bellman.expansions import QExpansion, QuadraticStage, ValueExpansion, expand_q
from ocngame.bellman.forward import forward_sweep
from ocngame.bellman.policy import AffinePolicy
from ocngame.bellman.stage_game import StageCertificate, StageRule, solve_stage
from ocngame.games.lq import LQGame

__all__ = [
    "DenseStage",
    "lq_stages",
    "lq_terminal",
    "play_policies",
    "stack_policies",
    "unstack_policies",
]


@dataclass(frozen=True, kw_only=True)
class DenseStage:
    """A stage given by dense matrices, solved under a rule.

    Attributes:
        quadratic: Dynamics and running costs.
        rule: Who moves, under which information.
    """

    quadratic: QuadraticStage
    rule: StageRule

    def expand(self, value: ValueExpansion) -> QExpansion:
        """Expand every player's Q-function.

        Args:
            value: Values at the next stage.

        Returns:
            The expansion.
        """
        return expand_q(self.quadratic, value)

    def solve(self, q: QExpansion) -> tuple[AffinePolicy, StageCertificate]:
        """Solve the stage game.

        Args:
            q: Expansion from `expand`.

        Returns:
            The joint policy and the certificate.
        """
        return solve_stage(q, self.rule)


def lq_stages(game: LQGame) -> list[QuadraticStage]:
    """Give the stages of a game; they are exact, about the origin.

    Args:
        game: The game.

    Returns:
        The stages 0 .. T-1.
    """
    zero = game.A.new_zeros(()).expand(*game.batch_shape, game.player_count)
    pieces = (
        game.A.unbind(-3),
        game.B.unbind(-3),
        game.c.contiguous().unbind(-2) if game.has_offset else [None] * game.horizon,
        game.q.unbind(-2)[:-1],
        game.r.unbind(-2),
        game.Q.unbind(-3)[:-1],
        game.M.unbind(-3),
        game.R.unbind(-3),
    )
    return [
        QuadraticStage(
            A=A,
            B=B,
            c=c,
            cost=QExpansion(q=zero, q_x=q, q_u=r, q_xx=Q, q_ux=M.mT, q_uu=R),
        )
        for A, B, c, q, r, Q, M, R in zip(*pieces, strict=True)
    ]


def lq_terminal(game: LQGame) -> ValueExpansion:
    """Give every player's terminal cost.

    Args:
        game: The game.

    Returns:
        The value at stage T, about the origin.
    """
    zero = game.A.new_zeros(()).expand(*game.batch_shape, game.player_count)
    return ValueExpansion(v=zero, v_x=game.q[..., -1, :], v_xx=game.Q[..., -1, :, :])


def stack_policies(policies: Sequence[AffinePolicy]) -> AffinePolicy:
    """Stack the policies of the stages 0 .. T-1.

    Args:
        policies: One policy per stage.

    Returns:
        One with feedforward (..., T, m) and feedback (..., T, m, n).
    """
    return AffinePolicy(
        feedforward=torch.stack([policy.feedforward for policy in policies], dim=-2),
        feedback=torch.stack([policy.feedback for policy in policies], dim=-3),
    )


def unstack_policies(policies: AffinePolicy) -> list[AffinePolicy]:
    """Give the policy of every stage of a stack.

    Args:
        policies: A stack with feedforward (..., T, m) and feedback (..., T, m, n).

    Returns:
        The policies of the stages 0 .. T-1.
    """
    pairs = zip(policies.feedforward.unbind(-2), policies.feedback.unbind(-3), strict=True)
    return [AffinePolicy(feedforward=k, feedback=K) for k, K in pairs]


def play_policies(game: LQGame, policies: AffinePolicy, x0: Tensor) -> tuple[Tensor, Tensor]:
    """Roll a game out under policies.

    Args:
        game: The game.
        policies: A stack with feedforward (..., T, m) and feedback (..., T, m, n).
        x0: Initial state, shape (..., n).

    Returns:
        States (..., T+1, n) and controls (..., T, m).
    """
    A, B, c = game.A.unbind(-3), game.B.unbind(-3), game.c.unbind(-2)

    def advance(t: int, x: Tensor, u: Tensor) -> Tensor:
        return ((A[t] @ x.unsqueeze(-1)) + (B[t] @ u.unsqueeze(-1))).squeeze(-1) + c[t]

    batch = torch.broadcast_shapes(x0.shape[:-1], game.batch_shape, policies.feedforward.shape[:-2])
    start = x0.expand(*batch, x0.shape[-1])
    controls, states = forward_sweep(unstack_policies(policies), advance, start)
    return torch.stack(states, dim=-2), torch.stack(controls, dim=-2)
