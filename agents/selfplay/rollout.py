"""Play for learning: one policy in both seats, and in some copies a past one in one of them."""

from typing import Any

import torch
from torch import Tensor

from ocngame.agents.selfplay.league import League
from ocngame.agents.selfplay.learner import SelfPlayLearner
from ocngame.agents.selfplay.networks import masked_log_softmax
from ocngame.agents.selfplay.segment import Segment
from ocngame.envs import World
from ocngame.envs.turns import Turn, turn_of
from ocngame.errors import InvalidInputError

__all__ = ["Rollout"]

_SELF = -1


class Rollout:
    """Copies of a world between two decisions.

    A copy draws its opponent anew when its game is over. The last `share` of the copies play
    against the league, with the learner in seat 0 in every other one.

    Attributes:
        world: The world.
        league: Past policies.
    """

    def __init__(self, world: World, league: League, seed: int):
        """Start every copy.

        Args:
            world: A world that `require_turns` accepts.
            league: Past policies.
            seed: Of the world, the actions and the matches.
        """
        self.world, self.league = world, league
        self._generator = torch.Generator().manual_seed(seed)
        self._turn = turn_of(world, world.reset(seed))
        copies = torch.arange(world.batch_size)
        matched = copies >= world.batch_size - round(league.config.share * world.batch_size)
        self._matched = matched
        self._seat = torch.where(matched, copies % 2, _SELF)
        self._opponent = torch.full((world.batch_size,), _SELF)
        self._draw(matched)

    @torch.no_grad()
    def play(self, learner: SelfPlayLearner, decisions: int) -> Segment:
        """Make decisions in every copy.

        Args:
            learner: Who plays.
            decisions: How many, per copy.

        Returns:
            What happened.

        Raises:
            InvalidInputError: if rewards do not sum to zero, or a game is cut off by a limit.
        """
        rows: list[dict[str, Tensor]] = []
        first, second = (group.name for group in self.world.groups)
        for _ in range(decisions):
            row = self._look(learner)
            drawn = torch.multinomial(row["policies"], 1, generator=self._generator)
            transition = self.world.step({first: drawn, second: drawn})
            rewards = transition.rewards[first][:, 0]
            if bool(((rewards + transition.rewards[second][:, 0]).abs() > 1e-5).any()):
                raise InvalidInputError(
                    f"world: expected rewards of {first!r} and {second!r} that sum to zero in "
                    f"{self.world.name!r}"
                )
            if bool((transition.truncated[first] | transition.truncated[second]).any()):
                raise InvalidInputError(
                    "world: expected games that end by their rules, "
                    f"{self.world.name!r} cut one off"
                )
            over = transition.over
            rows.append(row | {"actions": drawn[:, 0], "rewards": rewards, "over": over})
            self._turn = turn_of(self.world, transition.next)
            self._finish(over & self._matched, rewards)
        return Segment.stack(rows, self._look(learner))

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on.

        Returns:
            Plain data and tensors.
        """
        return {
            "world": self.world.state_dict(),
            "generator": self._generator.get_state(),
            "opponent": self._opponent.clone(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Args:
            state: It.
        """
        self._turn = turn_of(self.world, self.world.load_state_dict(state["world"]))
        self._generator.set_state(state["generator"])
        self._opponent = state["opponent"].clone()

    def _look(self, learner: SelfPlayLearner) -> dict[str, Tensor]:
        """Give what is known before a decision, and the probabilities it is made with."""
        turn = self._turn
        learns = (self._opponent == _SELF) | (turn.seat == self._seat)
        policies = learner.log_probabilities(turn.observation, turn.mask).exp()
        for born in self._opponent[~learns].unique().tolist():
            member = self.league.member(born)
            if member is not None:
                copies = ~learns & (self._opponent == born)
                logits = member(turn.observation[copies])
                policies[copies] = masked_log_softmax(logits, turn.mask[copies]).exp()
        return {
            "observations": turn.observation,
            "states": _with_seat(turn),
            "masks": turn.mask,
            "seats": turn.seat,
            "learns": learns,
            "policies": policies,
        }

    def _finish(self, over: Tensor, rewards: Tensor) -> None:
        if not bool(over.any()):
            return
        own = torch.where(self._seat == 0, rewards, -rewards)[over]
        self.league.record(self._opponent[over], 0.5 + 0.5 * own.sign())
        self._draw(over)

    def _draw(self, copies: Tensor) -> None:
        if bool(copies.any()):
            drawn = self.league.draw(int(copies.sum()), self._generator)
            self._opponent[copies] = drawn


def _with_seat(turn: Turn) -> Tensor:
    return torch.cat([turn.state, turn.seat[:, None].to(turn.state.dtype)], dim=1)
