r"""Each player's exact best response to the others' fixed policies.

With the others' policies fixed, player i faces a linear-quadratic control problem. Its Bellman
recursion runs on the joint Q-function of its own cost; the stage condition has player i's own row
of feedback Nash, and the identity in the rows of the others:

    E_i (q_uu du + q_u + q_ux dx) + (I - E_i) (du - k - K dx) = 0,   E_i = 1 on i's controls

All players' problems run as one batch, with a player dimension in front of a single cost. Others
that play fixed sequences are the case K = 0. Player i's cost as a function of its own remaining
policy then is

    J^i(u^i) - min J^i = sum_t 1/2 e_t' q_uu,ii e_t,      e_t = u^i_t - (best response at x_t)

along the path of u^i (completion of squares), so `q_uu,ii > 0` at all stages is the same as a
positive definite Hessian of J^i in player i's whole control sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.bellman.backward import backward_pass
from ocngame.bellman.expansions import QExpansion, QuadraticStage, ValueExpansion, expand_q
from ocngame.bellman.lq_stages import lq_stages, lq_terminal, stack_policies, unstack_policies
from ocngame.bellman.policy import AffinePolicy
from ocngame.games.lq import LQGame
from ocngame.linalg import smallest_eigenvalue

__all__ = ["BestResponse", "BestResponseStage", "best_response", "constant_policies", "owners"]


@dataclass(frozen=True, kw_only=True)
class BestResponse:
    """Every player's best response, player dimension N in front of the stages.

    Attributes:
        policies: Joint policies in which player i alone has changed, feedforward (..., N, T, m)
            and feedback (..., N, T, m, n).
        values: Player i's value at stage 0 under its best response, with v (..., N), v_x
            (..., N, n), v_xx (..., N, n, n).
        curvature: Player i's `q_uu,ii` over the joint control, zero outside its own block, shape
            (..., N, T, m, m).
        own_curvature: Smallest eigenvalue of the own block, shape (..., N, T). Where it is not
            positive the response at that stage and before means nothing.
    """

    policies: AffinePolicy
    values: ValueExpansion
    curvature: Tensor
    own_curvature: Tensor


@dataclass(frozen=True, kw_only=True)
class BestResponseStage:
    """One stage of all players' own problems, batch (..., N) of single costs.

    Attributes:
        quadratic: Dynamics and running costs with player dimension 1.
        policy: The joint policy from which one player at a time deviates, shape (..., 1, m).
        own: Who owns which control, shape (N, m).
    """

    quadratic: QuadraticStage
    policy: AffinePolicy
    own: Tensor

    def expand(self, value: ValueExpansion) -> QExpansion:
        """Expand the Q-function of every player's own problem.

        Args:
            value: Values at the next stage.

        Returns:
            The expansion.
        """
        return expand_q(self.quadratic, value)

    def solve(self, q: QExpansion) -> tuple[AffinePolicy, Tensor]:
        """Give the best responses.

        Args:
            q: Expansion from `expand`.

        Returns:
            The joint policies, and the Hessians over the joint control.
        """
        hessian = q.q_uu.squeeze(-3)
        eye = torch.eye(hessian.shape[-1], dtype=hessian.dtype, device=hessian.device)
        row = self.own.unsqueeze(-1)
        demand = torch.cat([q.q_u.mT, q.q_ux.squeeze(-3)], dim=-1)
        given = torch.cat([self.policy.feedforward.unsqueeze(-1), self.policy.feedback], dim=-1)
        size = hessian.detach().abs().amax((-2, -1), keepdim=True)
        size = torch.where(size > 0, size, torch.ones_like(size))
        solution, _ = torch.linalg.solve_ex(
            torch.where(row, hessian / size, eye), torch.where(row, -demand / size, given)
        )
        policy = AffinePolicy(feedforward=solution[..., 0], feedback=solution[..., 1:])
        return policy, hessian


def owners(slices: Sequence[slice], size: int, device: torch.device) -> Tensor:
    """Say who owns which control.

    Args:
        slices: Each player's slice of the joint control.
        size: Size m of the joint control.
        device: Where the answer is wanted.

    Returns:
        A mask of shape (N, m).
    """
    own = torch.zeros(len(slices), size, dtype=torch.bool, device=device)
    for i, block in enumerate(slices):
        own[i, block] = True
    return own


def constant_policies(controls: Tensor, state_size: int) -> AffinePolicy:
    """Give a control sequence as policies that do not react to the state.

    Args:
        controls: The sequence, shape (..., T, m).
        state_size: State size n.

    Returns:
        The stack with zero feedback.
    """
    zero = controls.new_zeros(()).expand(*controls.shape, state_size)
    return AffinePolicy(feedforward=controls, feedback=zero)


def best_response(game: LQGame, policies: AffinePolicy) -> BestResponse:
    """Re-optimise each player exactly against the others' fixed policies.

    Args:
        game: The game.
        policies: A stack with feedforward (..., T, m) and feedback (..., T, m, n).

    Returns:
        Best responses of all players.
    """
    own = owners(game.control_slices, game.control_size, game.A.device)
    stages = [
        BestResponseStage(
            quadratic=_one_cost_each(stage),
            policy=AffinePolicy(
                feedforward=policy.feedforward.unsqueeze(-2), feedback=policy.feedback.unsqueeze(-3)
            ),
            own=own,
        )
        for stage, policy in zip(lq_stages(game), unstack_policies(policies), strict=True)
    ]
    last = lq_terminal(game)
    terminal = ValueExpansion(
        v=last.v.unsqueeze(-1), v_x=last.v_x.unsqueeze(-2), v_xx=last.v_xx.unsqueeze(-3)
    )
    found = backward_pass(stages, terminal)
    hessians = torch.stack(found.certificates, dim=-3)
    blocks = [
        smallest_eigenvalue(hessians[..., i, :, block, block])
        for i, block in enumerate(game.control_slices)
    ]
    first = found.values[0]
    return BestResponse(
        policies=stack_policies(found.policies),
        values=ValueExpansion(
            v=first.v.squeeze(-1), v_x=first.v_x.squeeze(-2), v_xx=first.v_xx.squeeze(-3)
        ),
        curvature=hessians * (own.unsqueeze(-1) & own.unsqueeze(-2)).unsqueeze(-3),
        own_curvature=torch.stack(blocks, dim=-2),
    )


def _one_cost_each(stage: QuadraticStage) -> QuadraticStage:
    cost = stage.cost
    return QuadraticStage(
        A=stage.A.unsqueeze(-3),
        B=stage.B.unsqueeze(-3),
        c=None if stage.c is None else stage.c.unsqueeze(-2),
        cost=QExpansion(
            q=cost.q.unsqueeze(-1),
            q_x=cost.q_x.unsqueeze(-2),
            q_u=cost.q_u.unsqueeze(-2),
            q_xx=cost.q_xx.unsqueeze(-3),
            q_ux=cost.q_ux.unsqueeze(-3),
            q_uu=cost.q_uu.unsqueeze(-3),
        ),
    )
