r"""One trajectory of the iteration: its step, and its residual on the original game.

The residual of player i is the norm of the gradient of its own cost J^i (with constraints, of its
Lagrangian)

* in feedback play with respect to its own feedforward, every gain K held: the path is stationary
  among affine policies whose gains solve the quadratic game about the path;
* in open loop with respect to its own control sequence, the others' sequences held;
* in cooperative play, with one decision maker, these are the same.

A point is *full* if its step comes from the true Hessians, and *safe* if from Hessians projected on
the positive semi-definite cone, the dynamics' curvature left out and a proximal term
`prox/2 |du^i|^2` added to each own cost. Safe points serve to get near; only a full one can count
as converged, so neither projection nor proximal term can shift the answer.
"""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from ocngame.bellman import AffinePolicy, StageRule
from ocngame.bellman.joined import JoinedPass, joined_pass
from ocngame.bellman.joining import join_path
from ocngame.bellman.trajectory import linear_sweep
from ocngame.games import InformationStructure, NonlinearGame
from ocngame.games.expansion import (
    Expansion,
    Multipliers,
    augmented_costs,
    expand,
    projected,
)
from ocngame.solvers.lq.existence import ExistenceRule, LQCertificate, judge, judged_on
from ocngame.solvers.lq.status import Status

__all__ = ["Point", "Problem", "evaluate", "own_rows"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is iterated on.

    Attributes:
        game: The game among the decision makers.
        rule: Their control slices and information structure.
        dynamics_hessian: Whether the curvature of the dynamics enters.
    """

    game: NonlinearGame
    rule: StageRule
    dynamics_hessian: bool

    @property
    def costates(self) -> bool:
        """Whether the information structure is open loop."""
        return self.rule.information is InformationStructure.OPEN_LOOP

    @property
    def alone(self) -> bool:
        """Whether there is a single decision maker."""
        return len(self.rule.slices) == 1

    @property
    def mixes(self) -> bool:
        """Whether steps are not Newton's and gain from mixing."""
        return not self.costates and not (self.alone and self.dynamics_hessian)


@dataclass(frozen=True, kw_only=True)
class Point:
    """B trajectories with their steps and residuals.

    Attributes:
        xs: States, shape (B, T+1, n).
        us: Joint controls, shape (B, T, m).
        k: Feedforward of the step, shape (B, T, m).
        K: Feedback, shape (B, T, m, n).
        f_z: Jacobians of the dynamics, shape (B, T, n, n+m).
        residuals: Norm of each decision maker's own gradient, shape (B, D).
        merit: Norm over the decision makers, shape (B,); infinite where anything is not finite.
        regular: Whether every stage has positive own curvatures and a regular system, shape (B,).
        full: Whether the point is full, shape (B,).
        prox: Weight of the proximal term, shape (B,); zero for full points.
        cost: Cost of a single decision maker, with the constraints' terms, shape (B,); zero where
            there are several, who have no common measure.
        slope: Derivative of that cost along the step, shape (B,).
        own_curvature: Smallest eigenvalue of each decision maker's stage problem, shape (B, D, T).
        curvature_scale: What it is read against, shape (B, D, T).
        pivot: Ratio of the smallest to the largest pivot of the stage's system, shape (B, T).
        system: That system, shape (B, T, m, m).
    """

    xs: Tensor
    us: Tensor
    k: Tensor
    K: Tensor
    f_z: Tensor
    residuals: Tensor
    merit: Tensor
    regular: Tensor
    full: Tensor
    prox: Tensor
    cost: Tensor
    slope: Tensor
    own_curvature: Tensor
    curvature_scale: Tensor
    pivot: Tensor
    system: Tensor

    def take(self, index: Tensor) -> "Point":
        """Pick trajectories.

        Args:
            index: Which, shape (b,).

        Returns:
            The b trajectories.
        """
        return Point(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def put(self, index: Tensor, other: "Point") -> "Point":
        """Replace trajectories.

        Args:
            index: Which, shape (b,).
            other: The b replacements.

        Returns:
            All B trajectories.
        """
        parts = {}
        for f in fields(self):
            part = getattr(self, f.name).clone()
            part[index] = getattr(other, f.name)
            parts[f.name] = part
        return Point(**parts)

    @property
    def step(self) -> AffinePolicy:
        """The step as policies."""
        return AffinePolicy(feedforward=self.k, feedback=self.K)

    @property
    def target(self) -> tuple[Tensor, Tensor]:
        """States and controls to which the full step leads to first order."""
        n = self.xs.shape[-1]
        A, B = self.f_z[..., :n], self.f_z[..., n:]
        drift = (B @ self.k.unsqueeze(-1)).squeeze(-1)
        away = linear_sweep(A + B @ self.K, drift)
        answer = (self.K @ away[:, :-1].unsqueeze(-1)).squeeze(-1)
        return self.xs + away, self.us + self.k + answer

    @property
    def evidence(self) -> LQCertificate:
        """What the stages said about existence."""
        return LQCertificate(
            own_curvature=self.own_curvature,
            curvature_scale=self.curvature_scale,
            pivot=self.pivot,
            system=self.system,
        )


def own_rows(gradient: Tensor, slices: tuple[slice, ...]) -> list[Tensor]:
    """Pick the gradients of each decision maker's cost in its own controls.

    Args:
        gradient: All gradients, shape (..., D, T, m).
        slices: Who owns what.

    Returns:
        D tensors of shape (..., T, m_i).
    """
    return [gradient[..., i, :, block] for i, block in enumerate(slices)]


def evaluate(
    problem: Problem,
    xs: Tensor,
    us: Tensor,
    full: Tensor,
    prox: Tensor,
    multipliers: Multipliers | None,
) -> Point:
    """Evaluate trajectories.

    Args:
        problem: What is iterated on.
        xs: States, shape (B, T+1, n).
        us: Joint controls, shape (B, T, m).
        full: Which points are to be full, shape (B,).
        prox: Weights of the proximal term where not, shape (B,).
        multipliers: Multipliers of the constraints, or None.

    Returns:
        The points.
    """
    curved = problem.dynamics_hessian and bool(full.any())
    expansion = expand(problem.game, xs, us, multipliers=multipliers, dynamics_hessian=curved)
    finite = torch.isfinite(xs).flatten(1).all(-1) & torch.isfinite(us).flatten(1).all(-1)
    for part in (expansion.f_z, expansion.l_z, expansion.l_zz, expansion.phi_x, expansion.phi_xx):
        finite &= torch.isfinite(part).flatten(1).all(-1)
    prox = torch.where(full, 0, prox)
    if not bool(full.all()):
        expansion = _made_safe(problem, expansion, full, finite, prox)
    found = run_pass(problem, expansion)
    evidence = judged_on(found.certificate, _scale(problem, expansion))
    fault = judge(evidence, ExistenceRule(), Status.OWN_CURVATURE, Status.SINGULAR_SYSTEM)
    regular = finite & (fault.codes == 0)
    rows = own_rows(found.gradient.transpose(1, 2), problem.rule.slices)
    residuals = torch.stack([row.flatten(1).norm(dim=-1) for row in rows], dim=-1)
    k, K = found.feedforward, found.feedback
    finite = finite & torch.isfinite(k).flatten(1).all(-1) & torch.isfinite(K).flatten(1).all(-1)
    merit = residuals.norm(dim=-1)
    merit = torch.where(finite & torch.isfinite(merit), merit, torch.inf)
    cost = slope = torch.zeros_like(merit)
    if len(rows) == 1:
        cost = augmented_costs(problem.game, xs, us, multipliers)[:, 0]
        slope = (rows[0] * k).flatten(1).sum(-1)
    return Point(
        xs=xs,
        us=us,
        k=k,
        K=K,
        f_z=expansion.f_z,
        residuals=residuals,
        merit=merit,
        regular=regular,
        full=full,
        prox=prox,
        cost=torch.where(torch.isfinite(cost), cost, torch.inf),
        slope=slope,
        own_curvature=evidence.own_curvature,
        curvature_scale=evidence.curvature_scale,
        pivot=evidence.pivot,
        system=evidence.system,
    )


def run_pass(problem: Problem, expansion: Expansion) -> JoinedPass:
    """Run the backward pass of a problem about trajectories.

    Args:
        problem: What is iterated on.
        expansion: Derivatives along the trajectories.

    Returns:
        The step, gradients and certificates, with the batch dimension of the expansion.
    """
    found = joined_pass(join_path(expansion), problem.rule)
    return found.batched() if len(expansion.phi_x) == 1 else found


def _made_safe(
    problem: Problem, expansion: Expansion, full: Tensor, finite: Tensor, prox: Tensor
) -> Expansion:
    n = problem.game.state_size
    safe = projected(expansion, ~full & finite)
    own = safe.l_zz.new_zeros(safe.l_zz.shape[1], safe.l_zz.shape[-1])
    for i, block in enumerate(problem.rule.slices):
        own[i, n + block.start : n + block.stop] = 1
    shift = prox[:, None, None, None, None] * torch.diag_embed(own).unsqueeze(1)
    return replace(safe, l_zz=safe.l_zz + shift)


def _scale(problem: Problem, expansion: Expansion) -> Tensor:
    """Give the size of the control costs in each decision maker's block, shape (B, D, T)."""
    n = problem.game.state_size
    own = [slice(n + block.start, n + block.stop) for block in problem.rule.slices]
    costs = expansion.l_zz
    return torch.stack(
        [costs[:, i, :, block, block].abs().amax((-2, -1)) for i, block in enumerate(own)], dim=1
    )
