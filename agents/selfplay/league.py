"""Past policies to play against, matched by how hard they are to beat.

An opponent is drawn in proportion to `(1 - w) ** p`, with w the learner's running rate of points
against it (win 1, draw 1/2, loss 0): prioritised fictitious self-play (Vinyals et al., Grandmaster
level in StarCraft II, Nature 575, 2019, methods, f_hard). New members start at 1/2.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ocngame.training.selfplay_config import LeagueConfig

__all__ = ["League"]

_MEMORY = 0.98
"""Weight of a rate's past when a game ends."""


class League:
    """Kept policies and the learner's rates against them.

    Attributes:
        config: Settings.
        members: The policies, oldest first.
        rates: Points per game of the learner against each.
    """

    def __init__(self, config: LeagueConfig, policy: nn.Module):
        """Begin with the first policy.

        Args:
            config: Settings.
            policy: The learner's.
        """
        self.config = config
        self.members: list[nn.Module] = [_frozen(policy)]
        self.rates: list[float] = [0.5]
        self.born: list[int] = [0]

    def offer(self, policy: nn.Module, iteration: int) -> None:
        """Keep a policy if it is time.

        Args:
            policy: The learner's.
            iteration: Number of iterations made.
        """
        if iteration % self.config.every != 0:
            return
        if len(self.members) == self.config.size:
            easiest = max(range(len(self.rates)), key=self.rates.__getitem__)
            for kept in (self.members, self.rates, self.born):
                kept.pop(easiest)
        self.members.append(_frozen(policy))
        self.rates.append(0.5)
        self.born.append(iteration)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw opponents.

        Args:
            count: How many.
            generator: For the draws.

        Returns:
            Their `born` numbers, which stay when members leave; [count].
        """
        weights = (1 - torch.tensor(self.rates)).clamp(min=0.01) ** self.config.power
        drawn = torch.multinomial(weights, count, replacement=True, generator=generator)
        return torch.tensor(self.born)[drawn]

    def member(self, born: int) -> nn.Module | None:
        """Give a policy.

        Args:
            born: Its number.

        Returns:
            None if it has left.
        """
        return self.members[self.born.index(born)] if born in self.born else None

    def record(self, born: Tensor, points: Tensor) -> None:
        """Take in results.

        Args:
            born: Opponents of games that ended, [n].
            points: 1 for a win of the learner, 1/2 for a draw, 0; [n].
        """
        for number, point in zip(born.tolist(), points.tolist(), strict=True):
            if number in self.born:
                i = self.born.index(number)
                self.rates[i] = _MEMORY * self.rates[i] + (1 - _MEMORY) * point

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on.

        Returns:
            Plain data and tensors.
        """
        return {
            "members": [dict(member.state_dict()) for member in self.members],
            "rates": list(self.rates),
            "born": list(self.born),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Args:
            state: It.
        """
        model = self.members[0]
        self.members = []
        for weights in state["members"]:
            member = _frozen(model)
            member.load_state_dict(weights)
            self.members.append(member)
        self.rates, self.born = list(state["rates"]), list(state["born"])


def _frozen(policy: nn.Module) -> nn.Module:
    return copy.deepcopy(policy).requires_grad_(False)
