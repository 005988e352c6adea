r"""Which first actions are best when the rest is played by a plan: rollout, agent by agent.

The plan is made in a smooth world with forces of any size in the plane; the world has contacts,
edges and five actions. So the plan is not played as it is, but improved by one step of policy
iteration on the world's own rules (rollout; Bertsekas, "Multiagent reinforcement learning: rollout
and policy iteration", IEEE/CAA J. Autom. Sinica 8, 2021): for the agents of a team one after the
other, with those before it as decided, choose

    argmax over (a, d) of  sum_k p_k  sum_{t<L} [ R(s_t) + g R_smooth(s_t) ]

where the agent takes action a in the first d steps and the plan's policies after, the team's other
agents follow the plan, the opponents model k (`ocngame.agents.opponents`), R is the team's mean
reward in the world and R_smooth the same with collisions that are felt from afar (`sight`). The
plan's own action is one of the candidates, so that the choice is never worse than the plan in this
measure.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.agents.opponents import (
    MODELS,
    Plan,
    planned_forces,
    steady_forces,
    to_nearest,
    velocities_of,
)
from ocngame.agents.particle_game import PlannerOptions
from ocngame.envs.batched import Scenario, Smooth, physics_of
from ocngame.envs.batched.particle_world import ACTIONS

__all__ = ["Lookahead"]

_TIE = 1e-6
"""What the plan's own action is ahead by: of equal candidates, the plan's."""


@dataclass(frozen=True)
class _Firsts:
    """Candidates: forces (C, B, A, 2) and for how many steps they are held (C, B, A)."""

    forces: Tensor
    held: Tensor


class Lookahead:
    """Judges the first actions of one group.

    Attributes:
        members: Indices of the group's agents.
        others: Indices of all other agents.
    """

    def __init__(
        self,
        scenario: Scenario,
        group: str,
        options: PlannerOptions,
        *,
        rounded: bool,
        device: torch.device | str = "cpu",
    ):
        """Prepare.

        Args:
            scenario: The rules of the world.
            group: Whose actions.
            options: How far to look, and what for.
            rounded: Whether actions are the five discrete ones.
            device: Where.
        """
        self.members = scenario.groups[group]
        self.others = tuple(i for i in range(len(scenario.agents)) if i not in self.members)
        self._scenario, self._options, self._rounded = scenario, options, rounded
        kind = {"dtype": torch.float32, "device": device}
        self._motion = physics_of(scenario, **kind)
        self._smooth = physics_of(scenario, shapes=Smooth(options.width, options.sight), **kind)

    def choose(self, x: Tensor, plan: Plan, chances: Tensor) -> Tensor:
        """Choose the group's first actions.

        Args:
            x: States, shape (B, F), in float32.
            plan: Of the same copies, in float32.
            chances: Of the models of the others, shape (M, B); its rows are ignored if there are no
                others.

        Returns:
            Forces of all agents at the first step, shape (B, A, 2): those chosen for the group, the
            plan's for the others.
        """
        planned = self._spoken(planned_forces(plan, x.unsqueeze(0), 0))[0]
        held = torch.zeros(planned.shape[:2], dtype=torch.long, device=x.device)
        moves = [(a, d) for d in self._options.holds for a in range(len(ACTIONS))]
        table = x.new_tensor(ACTIONS)[[a for a, _ in moves]]
        lengths = torch.tensor([d for _, d in moves], device=x.device)
        forces = planned
        rows = torch.arange(len(x), device=x.device)
        for i in self.members:
            firsts = _Firsts(
                forces.expand(1 + len(moves), *forces.shape).clone(),
                held.expand(1 + len(moves), *held.shape).clone(),
            )
            firsts.forces[1:, :, i] = table[:, None]
            firsts.held[1:, :, i] = lengths[:, None]
            worth = self._worth(x, plan, firsts, chances)
            worth[0] += _TIE
            best = worth.argmax(0)
            forces, held = firsts.forces[best, rows], firsts.held[best, rows]
        return forces

    def foresee(self, x: Tensor, plan: Plan, forces: Tensor) -> Tensor:
        """Say what each model of the others expects to see next.

        Args:
            x: States, shape (B, F).
            plan: Of the same copies.
            forces: Chosen by the group, shape (B, A, 2).

        Returns:
            Velocities of the others after the step, shape (M, B, k, 2).
        """
        found = []
        for k in range(len(MODELS)):
            expected = self._others(k, x.unsqueeze(0), plan, 0)[0]
            expected[:, list(self.members)] = forces[:, list(self.members)]
            y = self._scenario.advance(self._motion, x.T, expected.mT.flatten(1).T)
            found.append(velocities_of(self._scenario, y.T)[:, list(self.others)])
        return torch.stack(found)

    def _worth(self, x: Tensor, plan: Plan, firsts: _Firsts, chances: Tensor) -> Tensor:
        """Play all candidates against all models of the others; give the mean sums, (C, B)."""
        count, batch = firsts.held.shape[:2]
        models = len(MODELS) if self.others else 1
        own = list(self.members)
        y = x.expand(models, count, *x.shape)
        total = x.new_zeros(models, count, batch)
        for t in range(self._options.look):
            forces = self._spoken(planned_forces(plan, y.flatten(0, 1), t))
            forces = forces.unflatten(0, (models, count))
            for k in range(1, models):
                forces[k] = self._others(k, y[k], plan, t, forces[k])
            forces = torch.where((t < firsts.held).unsqueeze(-1), firsts.forces, forces)
            flat = self._scenario.advance(
                self._motion, y.flatten(0, 2).T, forces.flatten(0, 2).mT.flatten(1).T
            )
            reward = self._scenario.rewards(self._motion, flat)[own].mean(0)
            guide = self._scenario.rewards(self._smooth, flat)[own].mean(0)
            total += (reward + self._options.guidance * guide).view_as(total)
            y = flat.T.view(models, count, *x.shape)
        if models == 1:
            return total[0]
        return (total * chances.to(total).unsqueeze(1)).sum(0)

    def _others(
        self, model: int, x: Tensor, plan: Plan, t: int, planned: Tensor | None = None
    ) -> Tensor:
        """Give all forces, (R, B, A, 2), with the others' by a model and the rest by the plan."""
        forces = self._spoken(planned_forces(plan, x, t)) if planned is None else planned
        if model == 0:
            return forces
        others = list(self.others)
        forces[..., others, :] = steady_forces(self._scenario, x)[..., others, :]
        return forces

    def _spoken(self, forces: Tensor) -> Tensor:
        return to_nearest(forces) if self._rounded else forces
