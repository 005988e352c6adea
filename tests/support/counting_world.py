"""A world whose rewards can be added up by hand: two teams, one of them with two agents."""

from collections.abc import Mapping

import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from ocngame.envs import Group, Moment, Transition, World


class CountingWorld(World):
    """Copy b ends after `lengths[b]` steps; an agent's reward is its action, `walls` pay minus."""

    name = "counting"

    def __init__(self, lengths: list[int]):
        self.groups = (
            Group(
                name="runners",
                agents=("r0", "r1"),
                team="runners",
                observation_size=1,
                action_space=Discrete(3),
            ),
            Group(
                name="walls",
                agents=("w0",),
                team="walls",
                observation_size=1,
                action_space=Discrete(2),
            ),
        )
        self.batch_size, self.state_size, self.horizon = len(lengths), 1, max(lengths)
        self.device, self.dtype = torch.device("cpu"), torch.float64
        self._lengths = torch.tensor(lengths)
        self._time = torch.zeros_like(self._lengths)

    def reset(self, seed: int | None = None) -> Moment:
        self._time = torch.zeros_like(self._lengths)
        return self._moment()

    def step(self, actions: Mapping[str, Tensor]) -> Transition:
        self._time = self._time + 1
        over = self._time >= self._lengths
        last = self._moment()
        self._time = torch.where(over, 0, self._time)
        ends = {g.name: over[:, None].expand(-1, len(g.agents)) for g in self.groups}
        return Transition(
            rewards={
                "runners": actions["runners"].to(self.dtype),
                "walls": -actions["walls"].to(self.dtype),
            },
            terminated=ends,
            truncated={name: torch.zeros_like(end) for name, end in ends.items()},
            over=over,
            last=last,
            next=self._moment(),
        )

    def state_dict(self) -> dict[str, object]:
        return {"time": self._time}

    def load_state_dict(self, state: dict[str, object]) -> Moment:
        self._time = torch.as_tensor(state["time"])
        return self._moment()

    def _moment(self) -> Moment:
        time = self._time.to(self.dtype)
        shapes = {g.name: (self.batch_size, len(g.agents)) for g in self.groups}
        return Moment(
            observations={n: time[:, None, None].expand(*s, 1) for n, s in shapes.items()},
            acting={n: torch.ones(s, dtype=torch.bool) for n, s in shapes.items()},
            masks={"runners": torch.tensor([False, True, True]).expand(self.batch_size, 2, 3)},
            state=time[:, None],
        )
