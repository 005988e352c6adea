"""What is allowed, of choices with one part or several.

A mask lists the actions of Discrete(k), or those of the parts of MultiDiscrete one part after the
other, k = k_1 + .. + k_n. A choice is allowed where each of its parts is.
"""

from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from gymnasium.spaces import Discrete, MultiDiscrete, Space

__all__ = ["mask_parts", "nothing_allowed", "part_sizes"]

Array = TypeVar("Array", np.ndarray, torch.Tensor)


def part_sizes(space: Space) -> tuple[int, ...]:
    """Give the number of actions of every part.

    Args:
        space: Actions of one agent.

    Returns:
        One number for Discrete, one per part for MultiDiscrete; none for others, whose actions are
        never masked.
    """
    if isinstance(space, Discrete):
        return (int(space.n),)
    if isinstance(space, MultiDiscrete):
        return tuple(int(n) for n in space.nvec)
    return ()


def mask_parts(masks: Array, space: Space) -> list[Array]:
    """Cut masks into those of the parts.

    Args:
        masks: [.., k].
        space: Actions of one agent.

    Returns:
        Per part, [.., k_j].
    """
    ends = np.cumsum([0, *part_sizes(space)])
    return [masks[..., int(a) : int(b)] for a, b in pairwise(ends)]


def nothing_allowed(masks: Array, space: Space) -> Any:
    """Say where a mask leaves no choice, as a part of it allows nothing.

    Args:
        masks: [.., k], bool.
        space: Actions of one agent.

    Returns:
        [..], bool, of the same kind.
    """
    first, *rest = (~part.any(-1) for part in mask_parts(masks, space))
    for other in rest:
        first = first | other
    return first
