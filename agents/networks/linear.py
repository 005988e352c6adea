r"""A linear layer of every agent's own.

All agents are one batched matrix product of the stacked weights. In the game of the network every
agent's layer is a stage with a control of its own, on the agent's part of the state: where the
game is recorded, the layers run one by one (`twin`).
"""

from typing import no_type_check

import torch
from torch import Tensor, nn

from ocngame.games.twins import HasTwin, Twin

__all__ = ["SeparateLinear", "agent_linear", "linear_parts"]


class SeparateLinear(nn.Module, HasTwin):
    """A linear layer for each of A agents: `[..., A, i] -> [..., A, o]`.

    Attributes:
        members: The layers.
    """

    def __init__(self, agents: int, inputs: int, outputs: int):
        """Make parameters of zeros.

        Args:
            agents: A.
            inputs: i.
            outputs: o.
        """
        super().__init__()
        self.members = nn.ModuleList(
            nn.utils.skip_init(nn.Linear, inputs, outputs) for _ in range(agents)
        )
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()

    @property
    def weight(self) -> Tensor:
        """All weights, [A, o, i]."""
        return torch.stack([layer.weight for layer in linear_parts(self)])

    @property
    def bias(self) -> Tensor:
        """All offsets, [A, o]."""
        return torch.stack([layer.bias for layer in linear_parts(self)])

    @no_type_check  # It may run on proxies.
    def forward(self, x: Tensor) -> Tensor:
        """Apply each agent's layer to its input.

        Args:
            x: [..., A, i].

        Returns:
            [..., A, o].
        """
        rows = x.reshape(-1, *x.shape[-2:]).transpose(0, 1)
        out = torch.baddbmm(self.bias[:, None, :], rows, self.weight.mT)
        return out.transpose(0, 1).reshape(*x.shape[:-1], -1)

    def twin(self) -> Twin:
        """Give the form in which every agent's layer runs by itself."""
        return Twin(self, self._apart, {})

    @no_type_check  # It is traced with proxies.
    def _apart(self, x: Tensor) -> Tensor:
        parts = [layer(x.select(-2, a)) for a, layer in enumerate(self.members)]
        return torch.stack(parts, -2)


def linear_parts(layer: nn.Module) -> list[nn.Linear]:
    """Give the linear layers that a layer over agents consists of.

    Args:
        layer: A shared layer or one of every agent's own.

    Returns:
        Itself, or one for each agent.
    """
    return [part for part in layer.modules() if isinstance(part, nn.Linear)]


def agent_linear(
    inputs: int, outputs: int, *, agents: int | None, gain: float, generator: torch.Generator
) -> nn.Linear | SeparateLinear:
    """Make a layer with orthogonal weights and no bias yet.

    Args:
        inputs: i.
        outputs: o.
        agents: A, for a layer of every agent's own; None for a shared one.
        gain: Scale of the weights.
        generator: For the weights.

    Returns:
        The layer.
    """
    layer = (
        nn.Linear(inputs, outputs) if agents is None else SeparateLinear(agents, inputs, outputs)
    )
    for part in linear_parts(layer):
        nn.init.zeros_(part.bias)
        nn.init.orthogonal_(part.weight, gain, generator)
    return layer
