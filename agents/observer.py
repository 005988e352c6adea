r"""From observations of particles back to their state.

An agent observes `o = W x + b`; a team observes the stack over its agents, and

    x = W^+ (o - b)

is exact in every entry of x that the stack determines. What it does not determine is filled in:

| not observed | filled with |
|---|---|
| where the plane's origin is | the first landmark (rewards depend on differences only) |
| a velocity | (p_t - p_{t-1}) / h, the velocity of one step before; 0 at the start |
| the goal | the landmark that the others have come nearer to since the start, most of all |
| the stage of a curriculum | the last one |
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.envs import Moment
from ocngame.envs.batched import Scenario
from ocngame.envs.batched.physics import STEP

__all__ = ["Observer", "Seen"]

_NEAR = 0.1
"""Weight of being near a landmark, next to having come nearer: what decides at the start."""


@dataclass(frozen=True)
class Seen:
    """What an observer remembers of B copies.

    Attributes:
        x: Last states, shape (B, F).
        first: Distances of the others to each landmark at the start, shape (B, L).
        begun: Whether the copy's episode has begun, shape (B,).
    """

    x: Tensor
    first: Tensor
    begun: Tensor


class Observer:
    """Reads what some groups observe.

    Attributes:
        determined: Whether each entry of the state is observed, shape (F,).
    """

    def __init__(self, scenario: Scenario, groups: Sequence[str]):
        """Prepare.

        Args:
            scenario: The rules of the world.
            groups: Whose observations are read.
        """
        self._scenario = scenario
        self._groups = [name for name in scenario.groups if name in groups]
        seen = [scenario.observation(i) for name in self._groups for i in scenario.groups[name]]
        w = torch.cat([part for part, _ in seen])
        self._shift = torch.cat([part for _, part in seen])
        at = scenario.layout
        if not bool(_determined(w)[at.px].any()):
            w = torch.cat([w, at.position(at.agents)])
            self._shift = torch.cat([self._shift, w.new_zeros(2)])
        self.determined = _determined(w)
        self._inverse = torch.linalg.pinv(w)

    def begin(self, batch: int, device: torch.device) -> Seen:
        """Remember nothing.

        Args:
            batch: B.
            device: Where.

        Returns:
            The memory.
        """
        at = self._scenario.layout
        zeros = torch.zeros(batch, at.size, dtype=torch.float64, device=device)
        first = zeros.new_zeros(batch, at.entities - at.agents)
        return Seen(zeros, first, torch.zeros(batch, dtype=torch.bool, device=device))

    def read(self, moment: Moment, seen: Seen) -> Seen:
        """Give the states of a moment.

        Args:
            moment: What the groups observe.
            seen: Of the step before.

        Returns:
            The memory with the states.
        """
        parts = [moment.observations[name].flatten(1) for name in self._groups]
        o = torch.cat(parts, 1).double()
        missing = len(self._shift) - o.shape[1]
        o = torch.cat([o, o.new_zeros(len(o), missing)], 1) - self._shift.to(o.device)
        x = o @ self._inverse.T.to(o.device)
        at = self._scenario.layout
        for rows, velocities in ((at.px, at.vx), (at.py, at.vy)):
            moved = (x - seen.x)[:, rows][:, : at.agents] / STEP
            moved = torch.where(seen.begun.unsqueeze(1), moved, 0)
            known = self.determined[velocities].to(x.device)
            x[:, velocities] = torch.where(known, x[:, velocities], moved)
        gaps = self._gaps(x)
        first = torch.where(seen.begun.unsqueeze(1), seen.first, gaps)
        x = self._with_added(x, first - (1 + _NEAR) * gaps)
        return Seen(x, first, torch.ones_like(seen.begun))

    def _gaps(self, x: Tensor) -> Tensor:
        """Give the least distance of the other groups' agents to each landmark, (B, L)."""
        at, groups = self._scenario.layout, self._scenario.groups
        others = [i for name in groups if name not in self._groups for i in groups[name]]
        if not others:
            return x.new_zeros(len(x), at.entities - at.agents)
        p = torch.stack([x[:, at.px], x[:, at.py]], -1)
        return torch.cdist(p[:, at.agents :], p[:, others]).amin(-1)

    def _with_added(self, x: Tensor, scores: Tensor) -> Tensor:
        at, unknown = self._scenario.layout, ~self.determined[self._scenario.layout.more]
        if not bool(unknown.any()):
            return x
        start = at.more.start
        if self._scenario.stages > 1:
            x[:, start] = 1.0
        elif bool(unknown[:2].all()):
            goal = (at.agents + scores.argmax(1)).unsqueeze(1)
            x[:, start] = x[:, at.px].gather(1, goal)[:, 0]
            x[:, start + 1] = x[:, at.py].gather(1, goal)[:, 0]
        return x


def _determined(w: Tensor) -> Tensor:
    return (torch.linalg.pinv(w) @ w).diagonal() > 1 - 1e-9
