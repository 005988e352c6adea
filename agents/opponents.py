r"""What others may do next, and which of that they seem to do: a planner's model of its opponents.

| model | force of an agent |
|---|---|
| equilibrium | the plan's: `u = us + K (x - xs)`, as the game's solution has it |
| steady | the discrete action nearest to `4 m v / a`: on, along the axis on which it moves most |

Nobody says which one an opponent follows, if any. After every step the model k that foresaw the
opponents' velocities as v_k, where v came, has

    e_k <- f e_k - |v - v_k|^2 / (2 s^2),        p_k = exp(e_k) / sum_j exp(e_j)

the posterior of a mixture with Gaussian errors of deviation s and equal chances before the first
step, that forgets at the rate f.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.envs.batched import Scenario
from ocngame.envs.batched.particle_world import ACTIONS

__all__ = [
    "MODELS",
    "Evidence",
    "Plan",
    "nearest_action",
    "planned_forces",
    "steady_forces",
    "to_nearest",
    "velocities_of",
]

MODELS = ("equilibrium", "steady")
"""Names of the models, in the order of every axis of models."""

PUSH = 4.0
"""Of the steady model; the force that keeps a velocity is 2.5 m v / a, by the physics' damping."""


@dataclass(frozen=True)
class Plan:
    """Paths and the policies along them, of B copies.

    Attributes:
        states: Shape (B, T+1, F).
        controls: Joint controls w, shape (B, T, m).
        feedback: K, shape (B, T, m, F).
        order: Positions in w of (first components | second components) of the agents.
    """

    states: Tensor
    controls: Tensor
    feedback: Tensor
    order: Tensor


@dataclass(frozen=True)
class Evidence:
    """How well the models have foreseen what came.

    Attributes:
        score: e, shape (M, B).
        foreseen: Velocities of the opponents at the next look, shape (M, B, k, 2); None before the
            first.
    """

    score: Tensor
    foreseen: Tensor | None

    def after(
        self, velocities: Tensor, begun: Tensor, *, forget: float, error: float
    ) -> "Evidence":
        """Take in what came.

        Args:
            velocities: Of the opponents, shape (B, k, 2).
            begun: Whether a copy's episode had begun at the last look, shape (B,).
            forget: f.
            error: s.

        Returns:
            The evidence, with nothing foreseen.
        """
        if self.foreseen is None:
            return self
        misses = (velocities - self.foreseen).square().sum((-1, -2)) / (2 * error**2)
        return Evidence(torch.where(begun, forget * self.score - misses, 0.0), None)

    @property
    def chances(self) -> Tensor:
        """p, shape (M, B)."""
        return self.score.softmax(0)


def planned_forces(plan: Plan, x: Tensor, t: int) -> Tensor:
    """Give the forces of the plan's policies.

    Args:
        plan: The plan.
        x: States of R rounds of the B copies, shape (R, B, F).
        t: Stage; after the last one its policy goes on.

    Returns:
        Shape (R, B, A, 2), in [-1, 1].
    """
    s = min(t, plan.controls.shape[1] - 1)
    away = x - plan.states[:, s]
    # One product per copy for all rounds.
    moved = (plan.feedback[:, s] @ away.permute(1, 2, 0)).permute(2, 0, 1)
    w = plan.controls[:, s] + moved
    return (w / (1 + w * w).sqrt())[..., plan.order].unflatten(-1, (2, -1)).mT


def steady_forces(scenario: Scenario, x: Tensor) -> Tensor:
    """Give the discrete actions of agents that push on the way they move.

    Args:
        scenario: The rules of the world.
        x: States, shape (..., F).

    Returns:
        Shape (..., A, 2).
    """
    scale = x.new_tensor([PUSH * a.mass / a.acceleration for a in scenario.agents])
    return to_nearest(scale[:, None] * velocities_of(scenario, x))


def velocities_of(scenario: Scenario, x: Tensor) -> Tensor:
    """Give the velocities of all agents.

    Args:
        scenario: The rules of the world.
        x: States, shape (..., F).

    Returns:
        Shape (..., A, 2).
    """
    at = scenario.layout
    return torch.stack([x[..., at.vx], x[..., at.vy]], -1)


def to_nearest(forces: Tensor) -> Tensor:
    """Round forces to those of the five discrete actions.

    Args:
        forces: Shape (..., 2).

    Returns:
        Shape (..., 2).
    """
    return forces.new_tensor(ACTIONS)[nearest_action(forces)]


def nearest_action(forces: Tensor) -> Tensor:
    """Give the nearest of the five discrete actions.

    Args:
        forces: Shape (..., 2).

    Returns:
        Shape (...), long.
    """
    x, y = forces.unbind(-1)
    along = torch.where(x.abs() >= y.abs(), torch.where(x > 0, 2, 1), torch.where(y > 0, 4, 3))
    return torch.where(torch.maximum(x.abs(), y.abs()) < 0.5, 0, along)
