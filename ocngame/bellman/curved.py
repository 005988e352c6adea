r"""Stages of a nonlinear game about a trajectory: one backward pass gives step and residual.

In deviations from a trajectory (x, u), the quadratic stage of player i has the Hessian of

    l^i(z) + lambda^i_{t+1}' f(z),      z = (x, u)

whose second term, the curvature of the dynamics, needs the gradient lambda of the cost-to-go *on
the trajectory itself*. It is carried along beside the values of the step's policy:

    g_x = l_x + A' lambda,   g_u = l_u + B' lambda,      lambda_t = g_x + K' g_u   (values)
                                                         lambda_t = g_x            (costates)

so that `g_u,i^(i)` is the gradient of J^i with respect to player i's own feedforward, all feedback
gains fixed (values), or with respect to its own control sequence (costates). These rows vanish if
and only if the step `du = k + K dx` has k = 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ocngame.bellman.backward import StageGame, backward_pass
from ocngame.bellman.expansions import QExpansion, QuadraticStage, ValueExpansion
from ocngame.bellman.fixed_policy import FixedPolicyStage
from ocngame.bellman.lq_stages import stack_policies
from ocngame.bellman.policy import AffinePolicy
from ocngame.bellman.value import evaluate_policy
from ocngame.games.expansion import Expansion
from ocngame.games.lq import LQGame
from ocngame.linalg import symmetrise

__all__ = [
    "CurvedPass",
    "CurvedStage",
    "PathQ",
    "PathValue",
    "curved_pass",
    "path_pass",
    "quadratic_game",
]


@dataclass(frozen=True, kw_only=True)
class PathValue(ValueExpansion):
    """A value expansion with the gradient of the cost-to-go on the trajectory.

    Attributes:
        slope: lambda, shape (..., N, n).
    """

    slope: Tensor


@dataclass(frozen=True, kw_only=True)
class PathQ(QExpansion):
    """A Q-expansion with the gradients on the trajectory.

    Attributes:
        path_x: State gradients g_x, shape (..., N, n).
        path_u: Control gradients g_u, shape (..., N, m).
    """

    path_x: Tensor
    path_u: Tensor


@dataclass(frozen=True, kw_only=True)
class CurvedStage:
    """A stage whose dynamics may be curved.

    Attributes:
        inner: How the stage is expanded and solved: a `BestResponseStage` or `FixedPolicyStage`.
        quadratic: Linear dynamics and quadratic running costs of the stage.
        hessian: Hessians of the dynamics, shape (..., n, n+m, n+m), or None.
    """

    inner: StageGame
    quadratic: QuadraticStage
    hessian: Tensor | None

    def expand(self, value: ValueExpansion) -> PathQ:
        """Expand Q, with the curvature of the dynamics and the gradients on the trajectory.

        Args:
            value: A `PathValue` of the next stage.

        Returns:
            The expansion.

        Raises:
            TypeError: if the value has no slope.
        """
        if not isinstance(value, PathValue):
            raise TypeError(f"value: expected a PathValue, got {type(value).__name__}")
        q = self.inner.expand(value)
        stage = self.quadratic
        q_xx, q_ux, q_uu = q.q_xx, q.q_ux, q.q_uu
        if self.hessian is not None:
            n = q.q_x.shape[-1]
            bent = (value.slope @ self.hessian.flatten(-2)).unflatten(-1, self.hessian.shape[-2:])
            q_xx, q_uu = q_xx + bent[..., :n, :n], q_uu + bent[..., n:, n:]
            q_ux = q_ux + bent[..., n:, :n]
        return PathQ(
            q=q.q,
            q_x=q.q_x,
            q_u=q.q_u,
            q_xx=q_xx,
            q_ux=q_ux,
            q_uu=q_uu,
            path_x=value.slope @ stage.A + stage.cost.q_x,
            path_u=value.slope @ stage.B + stage.cost.q_u,
        )

    def solve(self, q: QExpansion) -> tuple[AffinePolicy, Any]:
        """Solve the stage by its inner rule, and keep the gradient on the trajectory.

        Args:
            q: Expansion from `expand`.

        Returns:
            The policy, and the inner certificate with the expansion.
        """
        policy, certificate = self.inner.solve(q)
        return policy, (certificate, q)


@dataclass(frozen=True, kw_only=True)
class CurvedPass:
    """What one backward pass about a trajectory gives.

    Attributes:
        policies: The step, feedforward (..., T, m) and feedback (..., T, m, n).
        slopes: Gradients lambda of the stages 0 .. T, shape (..., N, T+1, n).
        gradient: Gradients g_u, shape (..., N, T, m).
        certificates: Certificates of the stages.
    """

    policies: AffinePolicy
    slopes: Tensor
    gradient: Tensor
    certificates: list[Any]


def curved_pass(
    expansion: Expansion,
    make: Callable[[int, QuadraticStage], StageGame],
) -> CurvedPass:
    """Run the backward pass about trajectories.

    Args:
        expansion: Derivatives along the trajectories.
        make: Gives the stage game of a stage and its quadratic expansion.

    Returns:
        The step, the gradients and the certificates.
    """
    n = expansion.phi_x.shape[-1]
    zero = expansion.phi_x.new_zeros(expansion.phi_x.shape[:-1])
    jacobians = expansion.f_z.unbind(-3)
    hessians = [None] * len(jacobians) if expansion.f_zz is None else expansion.f_zz.unbind(-4)
    slopes, curves = expansion.l_z.unbind(-2), expansion.l_zz.unbind(-3)
    stages = []
    for t, (jacobian, hessian, l_z, l_zz) in enumerate(
        zip(jacobians, hessians, slopes, curves, strict=True)
    ):
        cost = QExpansion(
            q=zero,
            q_x=l_z[..., :n],
            q_u=l_z[..., n:],
            q_xx=l_zz[..., :n, :n],
            q_ux=l_zz[..., n:, :n],
            q_uu=l_zz[..., n:, n:],
        )
        quadratic = QuadraticStage(A=jacobian[..., :n], B=jacobian[..., n:], c=None, cost=cost)
        stages.append(CurvedStage(inner=make(t, quadratic), quadratic=quadratic, hessian=hessian))
    terminal = PathValue(v=zero, v_x=expansion.phi_x, v_xx=expansion.phi_xx, slope=expansion.phi_x)
    found = backward_pass(stages, terminal, _value)
    return CurvedPass(
        policies=stack_policies(found.policies),
        slopes=torch.stack([_slope(value) for value in found.values], dim=-2),
        gradient=torch.stack([q.path_u for _, q in found.certificates], dim=-2),
        certificates=[certificate for certificate, _ in found.certificates],
    )


def path_pass(expansion: Expansion, feedback: Tensor) -> CurvedPass:
    """Give the gradients on the trajectory under given feedback gains.

    Args:
        expansion: Derivatives along the trajectories.
        feedback: K about the trajectory, shape (..., T, m, n); zero for control sequences.

    Returns:
        A pass whose step has no feedforward and the given gains.
    """
    still = torch.zeros_like(feedback[..., 0, :, 0])

    def make(t: int, quadratic: QuadraticStage) -> FixedPolicyStage:
        policy = AffinePolicy(feedforward=still, feedback=feedback[..., t, :, :])
        return FixedPolicyStage(quadratic=quadratic, policy=policy)

    return curved_pass(expansion, make)


def quadratic_game(expansion: Expansion, slopes: Tensor, slices: tuple[slice, ...]) -> LQGame:
    """Give the quadratic game about trajectories, in deviations from them.

    Args:
        expansion: Derivatives along the trajectories.
        slopes: Gradients lambda of the costs-to-go, shape (B, N, T+1, n).
        slices: Each player's slice of the joint control.

    Returns:
        The game; the curvature of the dynamics is in its costs.
    """
    n = expansion.phi_x.shape[-1]
    l_zz = expansion.l_zz
    if expansion.f_zz is not None:
        bent = torch.einsum("bitk,btkac->bitac", slopes[:, :, 1:], expansion.f_zz)
        l_zz = l_zz + symmetrise(bent)
    return LQGame(
        A=expansion.f_z[..., :n],
        B=expansion.f_z[..., n:],
        Q=torch.cat([l_zz[..., :n, :n], expansion.phi_xx.unsqueeze(2)], dim=2),
        q=torch.cat([expansion.l_z[..., :n], expansion.phi_x.unsqueeze(2)], dim=2),
        R=l_zz[..., n:, n:],
        r=expansion.l_z[..., n:],
        M=l_zz[..., :n, n:],
        control_slices=slices,
    )


def _value(q: QExpansion, policy: AffinePolicy) -> ValueExpansion:
    value = evaluate_policy(q, policy)
    slope = q.path_x + q.path_u @ policy.feedback if isinstance(q, PathQ) else value.v_x
    return PathValue(v=value.v, v_x=value.v_x, v_xx=value.v_xx, slope=slope)


def _slope(value: ValueExpansion) -> Tensor:
    return value.slope if isinstance(value, PathValue) else value.v_x
