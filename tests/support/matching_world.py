"""A world to learn in seconds: every agent is told a number and is paid for naming it."""

from collections.abc import Mapping

import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from torch import Tensor

from ocngame.envs import Group, Moment, Picture, Transition, World

_SPACES: dict[str, Space] = {
    "discrete": Discrete(3),
    "multi": MultiDiscrete([3, 2]),
    "box": Box(-2.0, 4.0, (1,)),
}
_PICTURE = Picture(height=6, width=5, channels=2, largest=200.0)


class MatchingWorld(World):
    """Two agents of `team`, one of `rest`; an agent is paid when it does what it was told.

    `recall` shows the number in the first step of an episode only. `turns` lets the agents of a
    team act in turns. Episodes end by the rules or, `cut`, by a limit. Action 0 is forbidden with
    `masked`, and then never asked for.
    """

    name = "matching"

    def __init__(
        self,
        copies: int = 16,
        *,
        length: int = 4,
        actions: str = "discrete",
        recall: bool = False,
        turns: bool = False,
        cut: bool = False,
        masked: bool = False,
        pictures: bool = False,
    ):
        space = _SPACES[actions]
        self.groups = tuple(
            Group(
                name=n,
                agents=tuple(a),
                team=n,
                observation_size=_PICTURE.size if pictures else 4,
                action_space=space,
                picture=_PICTURE if pictures else None,
            )
            for n, a in (("team", ["a0", "a1"]), ("rest", ["b0"]))
        )
        self.batch_size, self.state_size, self.horizon = copies, 9, length
        self.device, self.dtype = torch.device("cpu"), torch.float32
        self._length, self._kind = length, actions
        self._recall, self._turns, self._cut, self._masked = recall, turns, cut, masked
        self._pictures = pictures
        self._generator = torch.Generator().manual_seed(0)
        self._fresh()

    def _fresh(self) -> None:
        low = 1 if self._masked else 0
        self._told = torch.randint(low, 3, (self.batch_size, 3), generator=self._generator)
        self._time = 0

    def reset(self, seed: int | None = None) -> Moment:
        if seed is not None:
            self._generator.manual_seed(seed)
        self._fresh()
        return self._moment()

    def step(self, actions: Mapping[str, Tensor]) -> Transition:
        acting = self._moment().acting
        named = torch.cat([actions["team"], actions["rest"]], 1)
        if self._kind == "discrete":
            paid = (named == self._told).float()
            if self._masked:
                assert not (named == 0).any()
        elif self._kind == "multi":
            paid = (
                (named == torch.stack([self._told, self._told.clamp_max(1)], -1)).float().mean(-1)
            )
        else:
            paid = 1 - (named[..., 0] - self._told).abs()
        rewards = {"team": paid[:, :2] * acting["team"], "rest": paid[:, 2:]}
        self._time += 1
        over = self._time >= self._length
        last = self._moment()
        ends = {g.name: torch.full((self.batch_size, len(g.agents)), over) for g in self.groups}
        none = {name: torch.zeros_like(end) for name, end in ends.items()}
        if over:
            self._fresh()
        return Transition(
            rewards=rewards,
            terminated=none if self._cut else ends,
            truncated=ends if self._cut else none,
            over=torch.full((self.batch_size,), over),
            last=last,
            next=self._moment(),
        )

    def state_dict(self) -> dict[str, object]:
        return {
            "told": self._told,
            "time": self._time,
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict) -> Moment:
        self._told, self._time = state["told"], state["time"]
        self._generator.set_state(state["generator"])
        return self._moment()

    def _moment(self) -> Moment:
        shown = torch.nn.functional.one_hot(self._told, 3).float()
        if self._recall and self._time > 0:
            shown = torch.zeros_like(shown)
        clock = torch.full((self.batch_size, 3, 1), self._time / self._length)
        seen = torch.cat([shown, clock], -1)
        if self._pictures:
            seen = self._painted()
        team = torch.ones(self.batch_size, 2, dtype=torch.bool)
        if self._turns:
            team = torch.tensor([self._time % 2 == 0, self._time % 2 == 1]).expand(team.shape)
        allowed = torch.tensor([False, True, True])
        return Moment(
            observations={"team": seen[:, :2], "rest": seen[:, 2:]},
            acting={"team": team, "rest": torch.ones(self.batch_size, 1, dtype=torch.bool)},
            masks={g.name: allowed.expand(self.batch_size, len(g.agents), 3) for g in self.groups}
            if self._masked
            else {},
            state=shown.flatten(1),
        )

    def _painted(self) -> Tensor:
        """Pictures of a bar in a random row whose length says the number, [B, 3, size]."""
        p = _PICTURE
        picture = torch.zeros(self.batch_size, 3, p.height, p.width, p.channels)
        row = torch.randint(0, p.height, self._told.shape, generator=self._generator)
        b, a = torch.meshgrid(torch.arange(self.batch_size), torch.arange(3), indexing="ij")
        for place in range(3):
            lit = (self._told >= place).float() * p.largest
            picture[b, a, row, place + 1, 1] = lit
        return picture.flatten(2)
