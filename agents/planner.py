"""The Nash planner: plays the first move of a game that it solves anew at every step.

At each step all copies' games of the next T steps (`ocngame.agents.particle_game`) are solved at
once by the iterative-LQ solver (`ocngame.solve`) under feedback information, from the rest of the
plan of the step before; every team is assumed to do the same, and the planner plays its own teams'
first controls. It needs no training. It knows what its own groups observe
(`ocngame.agents.observer`), so it plays in the batched world and, with the same observations, in
the original one.

A plan is what the solver has after `iterations` steps, converged or not: with two steps a move and
the warm start, the solver follows the game while it is played. A discrete action is the nearest of
the five in the plane; of a Box, the differences are the plan's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from gymnasium.spaces import Box
from torch import Tensor

from ocngame.agents.decider import Decider
from ocngame.agents.observer import Observer, Seen
from ocngame.agents.particle_game import PlannerOptions, particle_game
from ocngame.envs import Moment, World
from ocngame.envs.batched import SCENARIOS, ParticleWorld, Scenario
from ocngame.envs.batched.particle_world import ACTIONS
from ocngame.errors import InvalidInputError, UnknownNameError
from ocngame.solvers.nonlinear import IterationOptions
from ocngame.solvers.solve import solve

__all__ = ["NashPlanner", "scenario_of"]

TOLERANCE = 1e-3


@dataclass(frozen=True)
class _Plan:
    """What the planner remembers: what it saw, and the joint controls (B, T, m) it planned."""

    seen: Seen
    controls: Tensor


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
        return _Plan(seen, seen.x.new_zeros(batch, game.horizon, game.control_size))

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
        if not isinstance(memory, _Plan):
            raise InvalidInputError(f"memory: expected what `start` gave, got {memory!r}")
        seen = self._observer.read(moment, memory.seen)
        solution = solve(
            self._model.game,
            information="feedback",
            x0=seen.x,
            initial=memory.controls,
            raise_on_failure=False,
            options=IterationOptions(
                tolerance=TOLERANCE,
                max_iterations=self._options.iterations,
                dynamics_hessian=False,
            ),
        )
        # A copy whose numbers overflowed has no plan: it does nothing and begins a new one.
        w = torch.nan_to_num(solution.controls, nan=0.0, posinf=0.0, neginf=0.0)
        forces = self._model.actions(w[:, 0])
        actions = {
            name: self._spoken(forces[:, list(self._scenario.groups[name])], moment)
            for name in self.groups
        }
        rest = torch.cat([w[:, 1:], w[:, -1:]], 1)
        return actions, _Plan(seen, rest)

    def forget(self, memory: object, over: Tensor) -> object:
        """Drop the plans of episodes that are over; see `Decider.forget`.

        Args:
            memory: From the last call of `act`.
            over: [B], bool.

        Returns:
            The memory for the next call.
        """
        if not isinstance(memory, _Plan):
            return memory
        seen = replace(memory.seen, begun=memory.seen.begun & ~over)
        return _Plan(seen, memory.controls.masked_fill(over[:, None, None], 0.0))

    def _spoken(self, forces: Tensor, moment: Moment) -> Tensor:
        if self._continuous:
            x, y = forces.unbind(-1)
            parts = [torch.zeros_like(x), -x, x, -y, y]
            return torch.stack(parts, -1).clamp(0, 1).to(moment.state.dtype)
        table = forces.new_tensor(ACTIONS)
        return torch.cdist(forces.flatten(0, 1), table).argmin(-1).unflatten(0, forces.shape[:2])


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
