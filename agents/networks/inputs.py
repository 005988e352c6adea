"""What the network of an agent gets: its observation, perhaps the state, and who it is."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ocngame.agents.networks.running import RunningMoments

__all__ = ["AgentInputs"]

_REACH = 10.0
"""Normalised observations are cut at so many standard deviations."""


class AgentInputs(nn.Module):
    """Joins parts `[..., A, O_j]` and a one-hot of the agent to `[..., A, F]`.

    Attributes:
        size: F.
        sizes: O_j of every part.
        agents: A.
        moments: Of every part, None where they are not normalised.
    """

    moments: nn.ModuleList | None
    identity: Tensor

    def __init__(self, sizes: Sequence[int], *, agents: int, identity: bool, normalise: bool):
        """Keep the shape.

        Args:
            sizes: O_j of every part.
            agents: A.
            identity: Whether a one-hot of the agent is appended.
            normalise: Whether parts are scaled by their running moments.
        """
        super().__init__()
        count = agents if identity and agents > 1 else 0
        self.register_buffer("identity", torch.eye(agents, count), persistent=False)
        self.moments = nn.ModuleList(map(RunningMoments, sizes)) if normalise else None
        self.size = sum(sizes) + count
        self.sizes, self.agents = tuple(sizes), agents

    def forward(self, *parts: Tensor) -> Tensor:
        """Join.

        Args:
            *parts: [..., A, O_j].

        Returns:
            [..., A, F].
        """
        joined = list(parts)
        if self.moments is not None:
            joined = [m.normalise(p, _REACH) for m, p in zip(self.moments, parts, strict=True)]
        if self.identity.shape[1] > 0:
            joined.append(self.identity.expand(*parts[0].shape[:-1], -1))
        return joined[0] if len(joined) == 1 else torch.cat(joined, -1)

    def learn(self, valid: Tensor, *parts: Tensor) -> None:
        """Take observations into the moments.

        Args:
            valid: [...], bool, which agents count.
            *parts: [..., A, O_j].
        """
        if self.moments is not None:
            for moments, part in zip(self.moments, parts, strict=True):
                moments.update(part[valid])
