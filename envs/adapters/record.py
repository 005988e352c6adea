"""The numbers of a batch in two flat buffers, one of numbers and one of flags.

A step writes into them in place; one copy of a buffer then makes all tensors of a transition. They
may lie in memory that processes share. Per group with A agents, B copies:

    numbers: observations [B, A, O] ..., state [B, S], rewards [B, A] ...
    flags:   acting [B, A] ..., masks [B, A, k] ..., terminated [B, A] ..., truncated ..., over [B]

and the same observations, state, acting and masks once more for the moment before a new start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from ocngame.envs.adapters.layout import Layout
from ocngame.envs.masks import part_sizes

__all__ = ["MomentArrays", "Record", "carve", "sizes"]

Array = TypeVar("Array", np.ndarray, torch.Tensor)


@dataclass(frozen=True)
class MomentArrays(Generic[Array]):
    """A moment: see `ocngame.envs.Moment`; lists are per group, masks None where there are none."""

    observations: Sequence[Array]
    state: Array
    acting: Sequence[Array]
    masks: Sequence[Array | None]


@dataclass(frozen=True)
class Record(Generic[Array]):
    """All that a step writes."""

    next: MomentArrays[Array]
    last: MomentArrays[Array]
    rewards: Sequence[Array]
    terminated: Sequence[Array]
    truncated: Sequence[Array]
    over: Array


def sizes(layout: Layout, batch: int) -> tuple[int, int]:
    """Give the lengths of the two buffers.

    Args:
        layout: What there is.
        batch: B.

    Returns:
        Count of numbers and of flags.
    """
    numbers = flags = 0
    for group, masked in zip(layout.groups, layout.masked, strict=True):
        agents = len(group.agents)
        numbers += batch * agents * (2 * group.observation_size + 1)
        flags += batch * agents * (4 + (2 * _actions(group) if masked else 0))
    return numbers + 2 * batch * layout.state_size, flags + batch


def carve(layout: Layout, batch: int, numbers: Array, flags: Array) -> Record[Array]:
    """Give views of the buffers.

    Args:
        layout: What there is.
        batch: B.
        numbers: [count of numbers], NumPy or torch.
        flags: [count of flags], bool, of the same kind.

    Returns:
        The views.
    """
    take_number, take_flag = _taker(numbers), _taker(flags)
    counts = [len(group.agents) for group in layout.groups]

    def moment() -> MomentArrays[Any]:
        return MomentArrays(
            observations=[
                take_number(batch, count, group.observation_size)
                for count, group in zip(counts, layout.groups, strict=True)
            ],
            state=take_number(batch, layout.state_size),
            acting=[take_flag(batch, count) for count in counts],
            masks=[
                take_flag(batch, count, _actions(group)) if masked else None
                for count, group, masked in zip(counts, layout.groups, layout.masked, strict=True)
            ],
        )

    return Record(
        next=moment(),
        last=moment(),
        rewards=[take_number(batch, count) for count in counts],
        terminated=[take_flag(batch, count) for count in counts],
        truncated=[take_flag(batch, count) for count in counts],
        over=take_flag(batch),
    )


def _actions(group: Any) -> int:
    return sum(part_sizes(group.action_space))


def _taker(buffer: Any) -> Any:
    begin = 0

    def take(*shape: int) -> Any:
        nonlocal begin
        count = int(np.prod(shape, dtype=int))
        begin += count
        return buffer[begin - count : begin].reshape(shape)

    return take
