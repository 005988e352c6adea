"""A batch of copies of one multi-agent world in lockstep, with everything in tensors.

Agents with equal spaces form a group, and a group is an axis: a learner never loops over agents.
With B copies, a group of A agents with observations of size O has

    observations  [B, A, O]   float, flattened (gymnasium's `flatten` where a space is not a Box)
    actions       [B, A]      long, for Discrete;  [B, A, n] long for MultiDiscrete of n parts;
                  [B, A, m]   float in the world's units, for a Box of size m
    mask          [B, A, k]   bool, allowed actions of Discrete(k), or of the parts of MultiDiscrete
                  one after the other; None where all always are
    rewards       [B, A]      float, of the step just made
    acting        [B, A]      bool, whether the agent's action counts in the next step: False for an
                  agent that has left, and for all but one agent of a turn-based world
    terminated, truncated  [B, A]  bool, whether the agent's episode ended in the step just made, by
                  the world's rules (its value is 0 after) or by a limit (it is bootstrapped)

An episode of a copy is over when every agent's is; the copy then starts anew within the same call.
What was there before the new start is kept for bootstrapping (`Transition.last`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from gymnasium.spaces import Space
from torch import Tensor, device, dtype

__all__ = ["Group", "Moment", "Picture", "Transition", "World"]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """The shape of an observation that is a picture, listed row by row with the channels last.

    Attributes:
        height: Rows.
        width: Columns.
        channels: Numbers per place.
        largest: Bound of an entry where it is far above 1, as of bytes; else 1.
    """

    height: int
    width: int
    channels: int
    largest: float = 1.0

    @property
    def size(self) -> int:
        """Numbers in all."""
        return self.height * self.width * self.channels


@dataclass(frozen=True, kw_only=True)
class Group:
    """Agents of one team with equal spaces.

    Attributes:
        name: Key in the mappings of a moment and of a transition.
        agents: The agents' names in the order of the axis.
        team: Agents of groups of the same team share an interest; returns are never averaged over
            teams.
        observation_size: O, of a flattened observation.
        action_space: Discrete, MultiDiscrete or Box (one-dimensional, bounded), of one agent.
        picture: What an observation is, if it is a picture.
    """

    name: str
    agents: tuple[str, ...]
    team: str
    observation_size: int
    action_space: Space
    picture: Picture | None = None


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What is known before an action.

    Attributes:
        observations: Per group [B, A, O].
        acting: Per group [B, A], bool.
        masks: Per group [B, A, k], bool; a group without masks is not in it.
        state: Of the whole world [B, S]: its own where it has one, else all observations.
    """

    observations: Mapping[str, Tensor]
    acting: Mapping[str, Tensor]
    masks: Mapping[str, Tensor]
    state: Tensor


@dataclass(frozen=True, kw_only=True)
class Transition:
    """What a step brought.

    Attributes:
        rewards: Per group [B, A].
        terminated: Per group [B, A], bool.
        truncated: Per group [B, A], bool.
        over: [B], bool, whether the copy's episode is over and it has started anew.
        last: The moment reached, before any new start.
        next: The moment to act on: `last` with the copies that are over started anew.
    """

    rewards: Mapping[str, Tensor]
    terminated: Mapping[str, Tensor]
    truncated: Mapping[str, Tensor]
    over: Tensor
    last: Moment
    next: Moment


class World(ABC):
    """B copies of a world, stepped together.

    Attributes:
        name: As users write it.
        groups: The agents.
        batch_size: B.
        state_size: S.
        horizon: Most steps of an episode, None if there is no limit.
        device: Where its tensors are.
        dtype: Of observations, rewards and state.
    """

    name: str
    groups: tuple[Group, ...]
    batch_size: int
    state_size: int
    horizon: int | None
    device: device
    dtype: dtype

    @abstractmethod
    def reset(self, seed: int | None = None) -> Moment:
        """Start every copy anew.

        Args:
            seed: Of this and all later starts and of the world's own noise; None goes on with the
                generators as they are.

        Returns:
            The first moment.
        """

    @abstractmethod
    def step(self, actions: Mapping[str, Tensor]) -> Transition:
        """Make one step of every copy.

        Args:
            actions: Per group; entries of agents that do not act are ignored.

        Returns:
            What it brought.

        Raises:
            InvalidInputError: if an action of an acting agent is not in its space or not allowed.
            NonFiniteError: if the world gives an observation or a reward that is not finite.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, object]:
        """Give what a resumed run needs to go on bitwise.

        Returns:
            Plain data and tensors. A world that cannot be copied in the middle of an episode gives
            the state of its generators, and a run that is resumed starts episodes anew there.
        """

    @abstractmethod
    def load_state_dict(self, state: dict[str, object]) -> Moment:
        """Go back to a state that `state_dict` gave.

        Args:
            state: It.

        Returns:
            The moment to act on.
        """

    def close(self) -> None:
        """Free processes and windows; a world that has none does nothing."""
        return
