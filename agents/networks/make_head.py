"""The head that belongs to an action space."""

from typing import Literal

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space

from ocngame.agents.networks.categorical import CategoricalHead
from ocngame.agents.networks.gaussian import GaussianHead
from ocngame.agents.networks.head import Head
from ocngame.errors import InvalidInputError

__all__ = ["make_head"]


def make_head(space: Space, squash: Literal["clip", "tanh"] = "clip") -> Head:
    """Choose a head.

    Args:
        space: Actions of one agent.
        squash: How continuous choices are brought into their box.

    Returns:
        Its head.

    Raises:
        InvalidInputError: if the space is of another kind, or a box without bounds.
    """
    if isinstance(space, Discrete):
        return CategoricalHead([int(space.n)], several=False)
    if isinstance(space, MultiDiscrete):
        return CategoricalHead([int(n) for n in space.nvec], several=True)
    if not isinstance(space, Box):
        raise InvalidInputError(
            f"space: expected Discrete, MultiDiscrete or Box actions, got {space}"
        )
    low, high = np.asarray(space.low).ravel(), np.asarray(space.high).ravel()
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise InvalidInputError(f"space: expected a Box with finite bounds, got {space}")
    return GaussianHead(torch.as_tensor(low), torch.as_tensor(high), squash)
