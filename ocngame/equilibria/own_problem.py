r"""Each decision maker's own problem on a nonlinear game, re-optimised from several starts.

Decision maker i changes its own controls, the others play fixed affine policies (feedback) or
fixed sequences (open loop) on the original game. About its trajectory the own problem is the
linear-quadratic one of `ocngame.bellman.best_response`, with the curvature of the dynamics; a step
`du^i = s k + K dx` is taken at the first length s at which the own cost falls by 1e-4 of what its
slope promises. Where a stage of the own problem has no minimum, the costs' Hessians are projected
and a small proximal term is added, which grows while no length is good (Levenberg-Marquardt). No
solver is used that looks for equilibria.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.bellman import AffinePolicy, QuadraticStage
from ocngame.bellman.best_response import BestResponseStage
from ocngame.bellman.curved import CurvedPass, curved_pass
from ocngame.bellman.trajectory import follow
from ocngame.games.expansion import Expansion, Multipliers, augmented_costs, expand, projected
from ocngame.games.nonlinear import NonlinearGame
from ocngame.linalg import smallest_eigenvalue

__all__ = ["OwnProblem", "improve"]

LENGTHS = (1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 0.001)
ARMIJO = 1e-4
PROX = 1e-6
STIFF = (1e-3, 1e5)
RETRY = 100


@dataclass(frozen=True, kw_only=True)
class OwnProblem:
    """E own problems, one trajectory each.

    Attributes:
        game: The game among the decision makers.
        player: Who deviates, shape (E,).
        own: Its controls, a mask of shape (E, m).
        feedback: K of the others (the own rows are not used), shape (E, T, m, n).
        multipliers: Multipliers of the constraints, or None.
    """

    game: NonlinearGame
    player: Tensor
    own: Tensor
    feedback: Tensor
    multipliers: Multipliers | None

    def cost(self, xs: Tensor, us: Tensor) -> Tensor:
        """Give the deviating player's cost, with its constraints' augmented Lagrangian.

        Args:
            xs: States, shape (E, T+1, n).
            us: Joint controls, shape (E, T, m).

        Returns:
            Costs, shape (E,).
        """
        costs = augmented_costs(self.game, xs, us, self.multipliers)
        return costs.gather(-1, self.player.unsqueeze(-1)).squeeze(-1)

    def step(self, xs: Tensor, us: Tensor, prox: Tensor) -> tuple[AffinePolicy, Tensor]:
        """Give the best responses to first order, and the cost's slope along them.

        Args:
            xs: States, shape (E, T+1, n).
            us: Joint controls, shape (E, T, m).
            prox: Weight of the proximal term, zero for the full step, shape (E,).

        Returns:
            Joint policies in which one player changes its controls, and slopes of shape (E,).
        """
        expansion = _own_costs(expand(self.game, xs, us, multipliers=self.multipliers), self.player)
        found = self._pass(expansion)
        bad = ~self._regular(found) | (prox > 0)
        if bool(bad.any()):
            safe = projected(expansion, bad)
            n = self.game.state_size
            shift = torch.zeros_like(safe.l_zz[:, 0, 0, 0])
            weight = prox.clamp_min(PROX).unsqueeze(-1)
            shift[:, n:] = torch.where(bad.unsqueeze(-1) & self.own, weight, 0.0)
            diagonal = torch.diag_embed(shift)[:, None, None]
            parts = {name: getattr(safe, name) for name in ("f_z", "f_zz", "l_z", "phi_x")}
            found = self._pass(Expansion(l_zz=safe.l_zz + diagonal, phi_xx=safe.phi_xx, **parts))
        own = self.own.unsqueeze(1)
        move = torch.where(own, found.policies.feedforward, 0)
        slope = (found.gradient[:, 0] * move).flatten(1).sum(-1)
        return AffinePolicy(feedforward=move, feedback=found.policies.feedback), slope

    def _pass(self, expansion: Expansion) -> CurvedPass:
        still = torch.zeros_like(self.feedback[:, 0, :, 0])

        def make(t: int, quadratic: QuadraticStage) -> BestResponseStage:
            policy = AffinePolicy(feedforward=still, feedback=self.feedback[:, t])
            return BestResponseStage(quadratic=quadratic, policy=policy, own=self.own)

        return curved_pass(expansion, make)

    def _regular(self, found: CurvedPass) -> Tensor:
        hessians = torch.stack(found.certificates, dim=1)
        own = (self.own.unsqueeze(-1) & self.own.unsqueeze(-2)).unsqueeze(1)
        size = hessians.abs().amax((-2, -1), keepdim=True)
        eye = torch.eye(hessians.shape[-1], dtype=hessians.dtype, device=hessians.device)
        return (smallest_eigenvalue(torch.where(own, hessians, size * eye)) > 0).all(-1)


def improve(
    problem: OwnProblem, xs: Tensor, us: Tensor, *, max_iterations: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Lower every element's own cost until no step does.

    Args:
        problem: The own problems.
        xs: States, shape (E, T+1, n).
        us: Joint controls, shape (E, T, m).
        max_iterations: Most steps.

    Returns:
        The last states and controls, and their costs of shape (E,); NaN stays NaN.
    """
    cost = problem.cost(xs, us)
    moving, prox = torch.isfinite(cost), torch.zeros_like(cost)
    for _ in range(max_iterations):
        if not bool(moving.any()):
            break
        step, slope = problem.step(xs, us, prox)
        rounding = torch.finfo(cost.dtype).eps * cost.abs()
        moving = moving & torch.isfinite(slope) & (slope < -rounding)
        pending = moving.clone()
        for length in LENGTHS:
            if not bool(pending.any()):
                break
            scale = torch.full_like(cost, length)
            new_xs, new_us = follow(problem.game, xs, us, step, scale)
            new = problem.cost(new_xs, new_us)
            fine = pending & (new <= cost + ARMIJO * length * slope)
            xs = torch.where(fine[:, None, None], new_xs, xs)
            us = torch.where(fine[:, None, None], new_us, us)
            cost = torch.where(fine, new, cost)
            pending &= ~fine
        stiffer = (100 * prox).clamp_min(STIFF[0])
        again = (slope < -RETRY * rounding) & (stiffer <= STIFF[1])
        moving = moving & (~pending | again)
        softer = torch.where(prox > STIFF[0], prox / 10, 0)
        prox = torch.where(pending, stiffer, softer)
    return xs, us, cost


def _own_costs(expansion: Expansion, player: Tensor) -> Expansion:
    each = torch.arange(len(player), device=player.device)
    return Expansion(
        f_z=expansion.f_z,
        f_zz=expansion.f_zz,
        l_z=expansion.l_z[each, player].unsqueeze(1),
        l_zz=expansion.l_zz[each, player].unsqueeze(1),
        phi_x=expansion.phi_x[each, player].unsqueeze(1),
        phi_xx=expansion.phi_xx[each, player].unsqueeze(1),
    )
