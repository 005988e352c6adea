"""T steps of play in all copies, as learners read them."""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["GroupSegment", "Segment"]


@dataclass(frozen=True, kw_only=True)
class GroupSegment:
    """What a group saw, did and got.

    Attributes:
        observations: [T, B, A, O].
        masks: [T, B, A, k], None where all actions always are allowed.
        acting: [T, B, A], bool.
        acts_next: [B, A], bool, in the moment after the segment.
        choices: [T, B, A, ...], as the head drew them.
        outputs: [T, B, A, P], of the policy that drew them.
        rewards: [T, B, A].
        terminated: [T, B, A], bool.
        truncated: [T, B, A], bool.
        reached: Observations of the moment reached [B, A, O], at steps where an agent's episode was
            cut and at the last step.
        memory: [B, A, H], of the policy before the first step.
    """

    observations: Tensor
    masks: Tensor | None
    acting: Tensor
    acts_next: Tensor
    choices: Tensor
    outputs: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    reached: dict[int, Tensor]
    memory: Tensor


@dataclass(frozen=True, kw_only=True)
class Segment:
    """What happened in a world.

    Attributes:
        groups: Per group.
        states: [T, B, S].
        reached: States of the moments in the groups' `reached`, [B, S].
        over: [T, B], bool, copies that started anew after the step.
    """

    groups: dict[str, GroupSegment]
    states: Tensor
    reached: dict[int, Tensor]
    over: Tensor
