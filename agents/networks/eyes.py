r"""Convolutions for observations that are pictures.

The inputs of a body are `[..., A, F]`; the picture is a part of F, listed row by row with the
channels last. Convolutions see every picture by itself and run as one over a third dimension in
which their kernel has width one: samples stay the first axis of all they give, and what lies
between (agents, steps of a sequence) is that dimension. Outputs of a rectifier are joined with what
else there is in F.

Layers have kernels of 3, padded; they halve the picture until it is at most 8 wide and high. With
separate networks every agent has eyes of its own.
"""

from dataclasses import dataclass
from typing import no_type_check

import torch
from torch import Tensor, nn

from ocngame.envs import Picture

__all__ = ["Eyes", "Look", "SeparateEyes"]

_SMALL = 8


@dataclass(frozen=True, kw_only=True)
class Look:
    """Where the picture is, and how it is looked at.

    Attributes:
        picture: Its shape.
        start: Where it starts in F.
        channels: Of every layer.
        scale: By which its entries are multiplied.
    """

    picture: Picture
    start: int
    channels: int
    scale: float


class Eyes(nn.Module):
    """From inputs `[..., F]` to `[..., size]`."""

    def __init__(self, inputs: int, look: Look, generator: torch.Generator):
        """Make the layers.

        Args:
            inputs: F.
            look: At what.
            generator: For the weights.
        """
        super().__init__()
        picture = look.picture
        height, width, channels = picture.height, picture.width, picture.channels
        layers: list[nn.Module] = []
        while not layers or max(height, width) > _SMALL:
            step = 2 if max(height, width) > _SMALL else 1
            layer = nn.Conv3d(
                channels, look.channels, (1, 3, 3), stride=(1, step, step), padding=(0, 1, 1)
            )
            nn.init.orthogonal_(layer.weight, 2**0.5, generator)
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
            layers += [layer, nn.ReLU()]
            height, width, channels = -(-height // step), -(-width // step), look.channels
        self.layers = nn.Sequential(*layers)
        self.size = inputs - picture.size + height * width * channels
        self._look = look

    @no_type_check  # It is traced with proxies.
    def forward(self, x: Tensor) -> Tensor:
        """Look.

        Args:
            x: [M, ..., F], with up to two axes between.

        Returns:
            [M, ..., size].
        """
        look, picture = self._look, self._look.picture
        start, stop = look.start, look.start + picture.size
        seen = x[..., start:stop] * look.scale
        seen = seen.reshape(x.shape[0], -1, picture.height, picture.width, picture.channels)
        found = self.layers(seen.permute(0, 4, 1, 2, 3)).permute(0, 2, 1, 3, 4)
        found = found.reshape(x.shape[:-1] + (-1,))  # noqa: RUF005 - a proxy cannot be unpacked
        return torch.cat([x[..., :start], found, x[..., stop:]], -1)


class SeparateEyes(nn.Module):
    """Eyes of every agent's own: `[..., A, F]` to `[..., A, size]`."""

    def __init__(self, agents: int, inputs: int, look: Look, generator: torch.Generator):
        """Make them.

        Args:
            agents: A.
            inputs: F.
            look: At what.
            generator: For the weights.
        """
        super().__init__()
        members = [Eyes(inputs, look, generator) for _ in range(agents)]
        self.members, self.size = nn.ModuleList(members), members[0].size

    @no_type_check  # It is traced with proxies.
    def forward(self, x: Tensor) -> Tensor:
        """Look, each agent for itself.

        Args:
            x: [M, ..., A, F].

        Returns:
            [M, ..., A, size].
        """
        return torch.stack([eyes(x.select(-2, a)) for a, eyes in enumerate(self.members)], -2)
