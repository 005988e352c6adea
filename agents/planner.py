"""The Nash planner: plays the first move of a game that it solves anew at every step.

At each step all copies' games of the next T stages (`ocngame.agents.particle_game`) are solved at
once by steps of the iterative-LQ solver under feedback information
(`ocngame.solvers.nonlinear.quadratic_step`), from the rest of the plan of the move before: with the
warm start, one step a move follows the game while it is played. What comes out are policies of all
teams, not only controls. By them the planner looks ahead in the world as it is, and chooses its own
teams' first actions (`ocngame.agents.lookahead`), against a model of the others that it learns
while it plays (`ocngame.agents.opponents`). It needs no training. It knows what its own groups
observe (`ocngame.agents.observer`), so it plays in the batched world and, with the same
observations, in the original one.

In a world with a Box of actions, forces of the plan stay as they are, and the differences of the
numbers are the force.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from gymnasium.spaces import Box
from torch import Tensor

from ocngame.agents.decider import Decider
from ocngame.agents.lookahead import Lookahead
from ocngame.agents.observer import Observer, Seen
from ocngame.agents.opponents import MODELS, Evidence, Plan, nearest_action, velocities_of
from ocngame.agents.particle_game import PlannerOptions, particle_game
from ocngame.envs import Moment, World
from ocngame.envs.batched import SCENARIOS, ParticleWorld, Scenario
from ocngame.errors import InvalidInputError, UnknownNameError
from ocngame.solvers.nonlinear import SingleStep, quadratic_step

__all__ = ["NashPlanner", "scenario_of"]

_WIDEST = 5.0
"""Largest control that a plan is begun from: beyond it a force hardly depends on its control."""


@dataclass(frozen=True)
class _Memory:
    """What it saw, the joint controls (B, T, m) it planned, and what it knows of the others."""

    seen: Seen
    controls: Tensor
    evidence: dict[str, Evidence]


class NashPlanner(Decider):
    """Plays some teams of a world of particles."""

    def __init__(
        self,
        scenario: Scenario,
        groups: Sequence[str] | None = None,
        *,
        options: PlannerOptions | None = None,
        continuous_actions: bool = False,
    ):
        """Make the game to plan with.

        Args:
            scenario: The rules of the world, such as `SimpleTag()`, or `scenario_of(world)`.
            groups: Which to play; all if None.
            options: How to look ahead.
            continuous_actions: Whether the world's actions are a Box.

        Raises:
            UnknownNameError: if the world has no such group.
        """
        self.name = "nash planner"
        self.groups = tuple(scenario.groups) if groups is None else tuple(groups)
        for group in self.groups:
            if group not in scenario.groups:
                raise UnknownNameError("groups", group, scenario.groups)
        self._scenario = scenario
        self._options = PlannerOptions() if options is None else options
        self._continuous = continuous_actions
        self._observer = Observer(scenario, self.groups)
        self._model = particle_game(scenario, self._options)
        self._lookahead = {
            name: Lookahead(scenario, name, self._options, rounded=not continuous_actions)
            for name in self.groups
        }

    def start(self, world: World) -> object:
        """Begin without a plan; see `Decider.start`.

        Args:
            world: The world to play in.

        Returns:
            The memory.

        Raises:
            InvalidInputError: if the world's groups, observations or actions are not the model's.
        """
        sizes = {group.name: group for group in world.groups}
        for name in self.groups:
            members = self._scenario.groups[name]
            expected = len(self._scenario.observation(members[0])[1])
            group = sizes.get(name)
            if group is None or (len(group.agents), group.observation_size) != (
                len(members),
                expected,
            ):
                raise InvalidInputError(
                    f"world: expected group {name!r} of {len(members)} agents with observations of "
                    f"size {expected}, as in {self._scenario.name}, got {group}"
                )
            if isinstance(group.action_space, Box) != self._continuous:
                raise InvalidInputError(
                    f"world: expected {'a Box' if self._continuous else 'Discrete'} actions of "
                    f"group {name!r}, got {group.action_space}"
                )
        game, batch = self._model.game, world.batch_size
        seen = self._observer.begin(batch, world.device)
        evidence = {
            name: Evidence(seen.x.new_zeros(len(MODELS), batch), None) for name in self.groups
        }
        controls = seen.x.new_zeros(batch, game.horizon, game.control_size)
        return _Memory(seen, controls, evidence)

    def act(
        self,
        moment: Moment,
        memory: object,
        generator: torch.Generator,
        *,
        deterministic: bool = False,
    ) -> tuple[dict[str, Tensor], object]:
        """Solve the game from here; see `Decider.act`.

        Args:
            moment: What is known; of the observations, only those of its groups are used.
            memory: From `start` or the last call.
            generator: Not used.
            deterministic: Not used: plans are not drawn.

        Returns:
            Actions per group, and the memory for the next call.

        Raises:
            InvalidInputError: if the memory is not this planner's.
        """
        if not isinstance(memory, _Memory):
            raise InvalidInputError(f"memory: expected what `start` gave, got {memory!r}")
        begun = memory.seen.begun
        seen = self._observer.read(moment, memory.seen)
        plan = self._planned(seen.x, memory.controls)
        x = seen.x.float()
        velocities = velocities_of(self._scenario, x)
        # Looking ahead is in the world's own precision.
        rough = Plan(
            plan.states.float(), plan.controls.float(), plan.feedback.float(), self._model.order
        )
        actions, evidence = {}, {}
        for name, ahead in self._lookahead.items():
            known = memory.evidence[name]
            if ahead.others:
                known = known.after(
                    velocities[:, list(ahead.others)],
                    begun,
                    forget=self._options.forget,
                    error=self._options.error,
                )
            forces = ahead.choose(x, rough, known.chances)
            if ahead.others:
                known = replace(known, foreseen=ahead.foresee(x, rough, forces))
            evidence[name] = known
            actions[name] = self._spoken(forces[:, list(ahead.members)], moment)
        rest = torch.cat([plan.controls[:, 1:], plan.controls[:, -1:]], 1)
        return actions, _Memory(seen, rest.clamp(-_WIDEST, _WIDEST), evidence)

    def forget(self, memory: object, over: Tensor) -> object:
        """Drop the plans of episodes that are over; see `Decider.forget`.

        Args:
            memory: From the last call of `act`.
            over: [B], bool.

        Returns:
            The memory for the next call.
        """
        if not isinstance(memory, _Memory):
            return memory
        seen = replace(memory.seen, begun=memory.seen.begun & ~over)
        return replace(
            memory, seen=seen, controls=memory.controls.masked_fill(over[:, None, None], 0.0)
        )

    def _planned(self, x: Tensor, controls: Tensor) -> SingleStep:
        step = quadratic_step(self._model.game, x, controls)
        for _ in range(self._options.iterations - 1):
            step = quadratic_step(self._model.game, x, step.controls)
        lost = (~step.sound)[:, None, None]
        # A copy whose numbers overflowed has no plan: it looks ahead by doing nothing.
        return replace(
            step,
            states=torch.where(lost, x.unsqueeze(1), step.states),
            controls=torch.where(lost, 0.0, step.controls),
        )

    def _spoken(self, forces: Tensor, moment: Moment) -> Tensor:
        if self._continuous:
            x, y = forces.unbind(-1)
            parts = [torch.zeros_like(x), -x, x, -y, y]
            return torch.stack(parts, -1).clamp(0, 1).to(moment.state.dtype)
        return nearest_action(forces)


def scenario_of(world: World, **options: object) -> Scenario:
    """Find the rules that model a world.

    Args:
        world: A batched world, or another one with the name of one, such as mpe2's.
        options: Of the scenario, where they are not the usual ones; not for a batched world.

    Returns:
        The rules.

    Raises:
        UnknownNameError: if no rules of that name are known.
    """
    if isinstance(world, ParticleWorld):
        return world.scenario
    for name, scenario in SCENARIOS.items():
        if name in world.name:
            return scenario(**options)
    raise UnknownNameError("world", world.name, SCENARIOS)
