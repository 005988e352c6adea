r"""A world of particles as a smooth game in finite time, for a planner.

A team is a player; its control is a vector w_i in the plane per agent, of any size, and the world's
action is `w / sqrt(1 + w^2)` per coordinate, within [-1, 1]. With s the state, R^n the team's mean
reward made smooth (`ocngame.envs.batched.Smooth`) and e the effort,

    J^n = sum_{t<T} [ -R^n(s_t) + e/2 |w^n_t|^2 ] - R^n(s_T)

The effort is the planner's own: it makes each team's problem strictly convex in its controls, which
the world's is not. Contacts have a wider margin than in the world. How far a team sees a collision
(`reach`) is a choice per team: one that looks for collisions wants to see them from afar, one that
avoids them would be driven out of the plane by what it cannot meet within the horizon.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ocngame._checks import in_range, integer, non_negative, positive
from ocngame.envs.batched import Scenario, Smooth, physics_of
from ocngame.errors import InvalidInputError
from ocngame.games import NonlinearGame

__all__ = ["ParticleGame", "PlannerOptions", "particle_game"]


@dataclass(frozen=True, kw_only=True)
class PlannerOptions:
    """How a planner looks ahead.

    Attributes:
        horizon: T, stages of the game that it solves.
        iterations: Steps of the game solver per move.
        effort: e.
        width: Width of the smooth pieces of rewards.
        reach: Width of collisions in rewards, per group.
        other_reach: The same, of groups that are not in `reach`.
        margin: Margin of contacts in the game that it solves.
        look: L, steps of the rollouts by which first actions are chosen.
        holds: For how many steps a first action may be held in them.
        guidance: g, weight in them of rewards with collisions that are felt from afar.
        sight: Width of those collisions.
        forget: f, what is left after a step of what is known of the opponents.
        error: s, by how much a model of the opponents may miss their velocities.
    """

    horizon: int = 6
    iterations: int = 1
    effort: float = 0.3
    width: float = 0.05
    reach: Mapping[str, float] = field(default_factory=lambda: {"adversary": 0.3})
    other_reach: float = 0.06
    margin: float = 0.03
    look: int = 6
    holds: tuple[int, ...] = (1, 3)
    guidance: float = 0.3
    sight: float = 0.3
    forget: float = 0.9
    error: float = 0.15

    def __post_init__(self) -> None:
        """Check the numbers."""
        integer("horizon", self.horizon, low=1)
        integer("iterations", self.iterations, low=1)
        integer("look", self.look, low=1)
        for name in ("effort", "width", "other_reach", "margin", "sight", "error"):
            positive(name, getattr(self, name))
        non_negative("guidance", self.guidance)
        in_range("forget", self.forget, low=0.0, high=1.0)
        if not isinstance(self.holds, tuple) or not self.holds:
            raise InvalidInputError(f"holds: expected at least one number, got {self.holds!r}")
        for hold in self.holds:
            integer("holds", hold, low=1)
        for group, reach in self.reach.items():
            positive(f"reach[{group!r}]", reach)


@dataclass(frozen=True)
class ParticleGame:
    """The game, and how to read its controls.

    Attributes:
        game: With the state of the world, and the joint control in the order of teams.
        order: Positions in the joint control of (first components | second components).
    """

    game: NonlinearGame
    order: Tensor

    def actions(self, w: Tensor) -> Tensor:
        """Give the world's actions.

        Args:
            w: Joint controls, shape (B, m).

        Returns:
            Shape (B, A, 2), in [-1, 1].
        """
        return _squashed(w)[:, self.order.to(w.device)].unflatten(1, (2, -1)).mT


def particle_game(
    scenario: Scenario, options: PlannerOptions, device: torch.device | str = "cpu"
) -> ParticleGame:
    """Make the game.

    Args:
        scenario: The rules of the world.
        options: How far and how smoothly to look.
        device: Where.

    Returns:
        The game in float64.
    """
    count, slices, order, begin = len(scenario.agents), [], [0] * 2 * len(scenario.agents), 0
    for members in scenario.groups.values():
        slices.append(slice(begin, begin + 2 * len(members)))
        for axis in range(2):
            for k, agent in enumerate(members):
                order[axis * count + agent] = begin + axis * len(members) + k
        begin += 2 * len(members)
    where = torch.tensor(order, device=device)
    motion = physics_of(scenario, device=device, margin=options.margin)

    def move(x: Tensor, w: Tensor, _t: Tensor) -> Tensor:
        return scenario.advance(motion, x, _squashed(w)[where])

    def costs(name: str, own: slice):
        shapes = Smooth(options.width, options.reach.get(name, options.other_reach))
        judged = physics_of(scenario, device=device, shapes=shapes)
        members = list(scenario.groups[name])

        def terminal(x: Tensor) -> Tensor:
            return -scenario.rewards(judged, x)[members].mean()

        def running(x: Tensor, w: Tensor, _t: Tensor) -> Tensor:
            return terminal(x) + 0.5 * options.effort * w[own].square().sum()

        return running, terminal

    pairs = [costs(name, own) for name, own in zip(scenario.groups, slices, strict=True)]
    game = NonlinearGame(
        dynamics=move,
        running_costs=[running for running, _ in pairs],
        terminal_costs=[terminal for _, terminal in pairs],
        control_slices=slices,
        state_size=scenario.layout.size,
        horizon=options.horizon,
    )
    return ParticleGame(game, where)


def _squashed(w: Tensor) -> Tensor:
    return w / (1 + w * w).sqrt()
