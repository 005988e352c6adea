r"""Bodies of policies and critics over the agents of a group, shared or one for each agent.

Inputs are `[..., A, F]`. Shared: one network for all, and the inputs carry a one-hot of the agent.
Separate: every agent has its own layers (`ocngame.agents.networks.linear`). Weights
start orthogonal (Saxe et al., 2014), hidden layers scaled by sqrt 2 for rectifiers and 5/3 for
tanh, the last by a number given.

The gated unit (Cho et al., 2014, in the form of cuDNN), with state h and input x:

    r = sigmoid(W_r x + U_r h + b_r)          z = sigmoid(W_z x + U_z h + b_z)
    n = tanh(W_n x + b_n + r * (U_n h + c_n))     h <- (1 - z) n + z h
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, no_type_check

import torch
from torch import Tensor, fx, nn

from ocngame.agents.networks.eyes import Eyes, Look, SeparateEyes
from ocngame.agents.networks.linear import SeparateLinear, agent_linear

__all__ = ["Body", "FeedForward", "Gated"]

Activation = Literal["tanh", "relu"]
_ACTIVATIONS = {"tanh": (nn.Tanh, 5 / 3), "relu": (nn.ReLU, 2**0.5)}


class Body(nn.Module, ABC):
    """A network over the agents of a group.

    Attributes:
        last: Its last layer.
        memory_size: H, of what it remembers per agent; 0 for nothing.
    """

    last: nn.Linear | SeparateLinear
    memory_size: int

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Give the outputs where nothing is remembered, or from an empty memory.

        Args:
            x: [..., A, F].

        Returns:
            [..., A, P].
        """

    @abstractmethod
    def advance(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Make one step.

        Args:
            x: [B, A, F].
            memory: [B, A, H].

        Returns:
            Outputs [B, A, P] and the new memory.
        """

    @abstractmethod
    def sequence(self, x: Tensor, memory: Tensor, over: Tensor) -> tuple[Tensor, Tensor]:
        """Run through T steps; the memory is emptied after a step that ended an episode.

        Args:
            x: [T, B, A, F].
            memory: [B, A, H], before the first step.
            over: [T, B], bool.

        Returns:
            Outputs [T, B, A, P] and the memory after each step, before it is emptied [T, B, A, H].
        """


class FeedForward(Body):
    """Layers with an activation between them; it remembers nothing."""

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        agents: int | None,
        activation: Activation,
        gain: float,
        generator: torch.Generator,
        look: Look | None = None,
    ):
        """Make the layers.

        Args:
            sizes: F, the hidden widths, P.
            agents: A for separate networks, None for a shared one.
            activation: Between the layers.
            gain: Scale of the last layer's weights.
            generator: For the weights.
            look: For inputs with a picture: convolutions below the layers.
        """
        super().__init__()
        layers = _hidden(sizes[:-1], agents, activation, look, generator)
        self.last = agent_linear(
            sizes[-2], sizes[-1], agents=agents, gain=gain, generator=generator
        )
        self.hidden = nn.Sequential(*layers)
        self.memory_size = 0

    @no_type_check  # It is traced with proxies.
    def forward(self, x: Tensor) -> Tensor:
        """Run the layers; see `Body.forward`."""
        return self.last(self.hidden(x))

    def advance(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Run the layers; see `Body.advance`."""
        return self(x), memory

    def sequence(self, x: Tensor, memory: Tensor, over: Tensor) -> tuple[Tensor, Tensor]:
        """Run the layers on all steps at once; see `Body.sequence`."""
        return self(x), memory.expand(len(x), *memory.shape)


class Gated(Body):
    """Layers with an activation, a gated unit on top, a last layer."""

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        agents: int | None,
        activation: Activation,
        gain: float,
        generator: torch.Generator,
        look: Look | None = None,
    ):
        """Make the layers.

        Args:
            sizes: F, the hidden widths, P; the memory is as wide as the last hidden layer.
            agents: A for separate networks, None for a shared one.
            activation: Of the layers below the gated unit.
            gain: Scale of the last layer's weights.
            generator: For the weights.
            look: For inputs with a picture: convolutions below the layers.
        """
        super().__init__()
        width = sizes[-2]
        layers = _hidden(sizes[:-1], agents, activation, look, generator)
        self.hidden = nn.Sequential(*layers)
        self.input = agent_linear(width, 3 * width, agents=agents, gain=1.0, generator=generator)
        self.state = agent_linear(width, 3 * width, agents=agents, gain=1.0, generator=generator)
        self.last = agent_linear(width, sizes[-1], agents=agents, gain=gain, generator=generator)
        self.memory_size = width

    @no_type_check
    def forward(self, x: Tensor) -> Tensor:
        """Make one step from an empty memory; see `Body.forward`."""
        return self.advance(x, x.new_zeros(*x.shape[:-1], self.memory_size))[0]

    def advance(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Make one step; see `Body.advance`."""
        memory = self._turn(self.input(self.hidden(x)), memory)
        return self.last(memory), memory

    @no_type_check  # It is traced with proxies, with one step.
    def sequence(self, x: Tensor, memory: Tensor, over: Tensor) -> tuple[Tensor, Tensor]:
        """Run through T steps, all but the gated unit at once; see `Body.sequence`."""
        # The samples of the network's game, the copies, come first in what layers give.
        steps = 1 if isinstance(x, fx.Proxy) else len(x)
        inputs, memories = self.input(self.hidden(x.transpose(0, 1))), []
        for t in range(steps):
            if t > 0:
                memory = torch.where(over[t - 1][:, None, None], 0.0, memory)
            memory = self._turn(inputs[:, t], memory)
            memories.append(memory)
        found = torch.stack(memories, 1)
        return self.last(found).transpose(0, 1), found.transpose(0, 1)

    @no_type_check
    def _turn(self, inputs: Tensor, memory: Tensor) -> Tensor:
        x_r, x_z, x_n = inputs.chunk(3, -1)
        h_r, h_z, h_n = self.state(memory).chunk(3, -1)
        keep = torch.sigmoid(x_z + h_z)
        new = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
        return new + keep * (memory - new)


def _hidden(
    sizes: Sequence[int],
    agents: int | None,
    activation: Activation,
    look: Look | None,
    generator: torch.Generator,
) -> list[nn.Module]:
    act, scale = _ACTIVATIONS[activation]
    layers: list[nn.Module] = []
    inputs, *widths = sizes
    if look is not None:
        eyes: Eyes | SeparateEyes = (
            Eyes(inputs, look, generator)
            if agents is None
            else SeparateEyes(agents, inputs, look, generator)
        )
        layers.append(eyes)
        inputs = eyes.size
    for i, o in pairwise([inputs, *widths]):
        layers.append(agent_linear(i, o, agents=agents, gain=scale, generator=generator))
        layers.append(act())
    return layers
