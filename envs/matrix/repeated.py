"""Repeated matrix games as batched worlds: both players act at once, round after round.

The observation is one-hot: the start, or the joint action of the last round, own action first. With
`memory` off it is the single number 1.
"""

from collections.abc import Mapping

import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from ocngame._checks import integer
from ocngame._tensor_checks import finite, shaped
from ocngame.envs.world import Group, Moment, Transition, World
from ocngame.errors import InvalidInputError

__all__ = ["RepeatedMatrixWorld", "matching_pennies", "prisoners_dilemma", "rock_paper_scissors"]


class RepeatedMatrixWorld(World):
    """Copies of a repeated game of two players with equally many actions.

    Attributes:
        rewards: Of both players by (player 0's, player 1's) action, [2, k, k].
        memory: Whether players see the last round.
    """

    def __init__(
        self,
        name: str,
        rewards: Tensor,
        *,
        rounds: int,
        batch_size: int,
        memory: bool = False,
        device: str | torch.device = "cpu",
    ):
        """Take the rewards of a round.

        Args:
            name: The game's name.
            rewards: Of both players by (player 0's, player 1's) action, shape (2, k, k).
            rounds: Rounds of an episode.
            batch_size: Number of copies.
            memory: Whether players see the last round.
            device: Where to play.
        """
        k = shaped("rewards", rewards, "two k k", two=2)["k"]
        finite("rewards", rewards)
        integer("rounds", rounds, low=1)
        integer("batch_size", batch_size, low=1)
        self.name, self.batch_size, self.horizon = name, batch_size, rounds
        self.device, self.dtype = torch.device(device), torch.float32
        self.rewards = rewards.to(self.device, self.dtype)
        self.memory, self._actions = memory, k
        size = k * k + 1 if memory else 1
        self.state_size = size
        self.groups = tuple(
            Group(
                name=f"player_{i}",
                agents=(f"player_{i}",),
                team=f"player_{i}",
                observation_size=size,
                action_space=Discrete(k),
            )
            for i in (0, 1)
        )
        self._round = torch.zeros(batch_size, dtype=torch.long, device=self.device)
        self._last = torch.full((batch_size, 2), -1, device=self.device)

    def reset(self, seed: int | None = None) -> Moment:
        """Start every copy anew; see `World.reset`.

        Args:
            seed: Not used: nothing is random.

        Returns:
            The first moment.
        """
        self._round = torch.zeros_like(self._round)
        self._last = torch.full_like(self._last, -1)
        return self._moment(self._last)

    def step(self, actions: Mapping[str, Tensor]) -> Transition:
        """Play a round in every copy; see `World.step`.

        Args:
            actions: Per player [B, 1].

        Returns:
            What it brought.

        Raises:
            InvalidInputError: if an action is out of range.
        """
        joint = torch.cat([actions[group.name].view(-1, 1) for group in self.groups], 1)
        wrong = (joint < 0) | (joint >= self._actions)
        if bool(wrong.any()):
            b, i = wrong.nonzero()[0].tolist()
            raise InvalidInputError(
                f"actions: expected 0 to {self._actions - 1} of player_{i} in copy {b} of "
                f"{self.name!r}, got {int(joint[b, i])}"
            )
        paid = self.rewards[:, joint[:, 0], joint[:, 1]]
        rounds = self._round + 1
        over = rounds >= self.horizon if self.horizon is not None else torch.zeros_like(rounds) > 0
        last = self._moment(joint)
        self._round = torch.where(over, 0, rounds)
        self._last = torch.where(over[:, None], -1, joint)
        names = [group.name for group in self.groups]
        return Transition(
            rewards={name: paid[i, :, None] for i, name in enumerate(names)},
            terminated=dict.fromkeys(names, over[:, None]),
            truncated={name: torch.zeros_like(over)[:, None] for name in names},
            over=over,
            last=last,
            next=self._moment(self._last),
        )

    def state_dict(self) -> dict[str, object]:
        """Give rounds and last actions.

        Returns:
            Tensors.
        """
        return {"round": self._round.clone(), "last": self._last.clone()}

    def load_state_dict(self, state: dict[str, object]) -> Moment:
        """Go back; see `World.load_state_dict`.

        Args:
            state: What `state_dict` gave.

        Returns:
            The moment to act on.
        """
        self._round = torch.as_tensor(state["round"]).to(self.device).clone()
        self._last = torch.as_tensor(state["last"]).to(self.device).clone()
        return self._moment(self._last)

    def _moment(self, joint: Tensor) -> Moment:
        views = [self.view_of(joint), self.view_of(joint.flip(1))]
        acts = torch.ones(len(joint), 1, dtype=torch.bool, device=self.device)
        return Moment(
            observations={g.name: v[:, None] for g, v in zip(self.groups, views, strict=True)},
            acting={group.name: acts for group in self.groups},
            masks={},
            state=views[0],
        )

    def view_of(self, joint: Tensor) -> Tensor:
        """Give what a player sees.

        Args:
            joint: Last actions [B, 2], the player's own first; -1 at the start.

        Returns:
            [B, O].
        """
        if not self.memory:
            return torch.ones(len(joint), 1, device=self.device)
        code = torch.where(joint[:, 0] < 0, 0, 1 + joint[:, 0] * self._actions + joint[:, 1])
        return torch.nn.functional.one_hot(code, self.state_size).to(self.dtype)


def matching_pennies(batch_size: int, *, rounds: int = 1) -> RepeatedMatrixWorld:
    """Make matching pennies: player 0 wins 1 where the coins agree.

    Args:
        batch_size: Number of copies.
        rounds: Rounds of an episode.

    Returns:
        The world.
    """
    wins = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    rewards = torch.stack([wins, -wins])
    return RepeatedMatrixWorld("matching_pennies", rewards, rounds=rounds, batch_size=batch_size)


def rock_paper_scissors(batch_size: int, *, rounds: int = 1) -> RepeatedMatrixWorld:
    """Make rock, paper, scissors.

    Args:
        batch_size: Number of copies.
        rounds: Rounds of an episode.

    Returns:
        The world.
    """
    wins = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    rewards = torch.stack([wins, -wins])
    return RepeatedMatrixWorld("rock_paper_scissors", rewards, rounds=rounds, batch_size=batch_size)


def prisoners_dilemma(batch_size: int, *, rounds: int = 16) -> RepeatedMatrixWorld:
    """Make the repeated prisoner's dilemma with memory of the last round, cooperation first.

    Args:
        batch_size: Number of copies.
        rounds: Rounds of an episode.

    Returns:
        The world.
    """
    own = torch.tensor([[-1.0, -3.0], [0.0, -2.0]])
    rewards = torch.stack([own, own.T])
    return RepeatedMatrixWorld(
        "prisoners_dilemma", rewards, rounds=rounds, batch_size=batch_size, memory=True
    )
