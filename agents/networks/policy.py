"""The policy of a group: what each agent sees, a body, a head.

The head's free numbers are the offset of a layer whose input is zero, so that they are the control
of a stage of the network's game like the weights of a layer.
"""

from typing import no_type_check

import torch
from torch import Tensor, nn

from ocngame.agents.networks.body import Body
from ocngame.agents.networks.head import Head
from ocngame.agents.networks.inputs import AgentInputs
from ocngame.games.twins import LastOffset

__all__ = ["Policy"]


class Policy(nn.Module):
    """From observations to the outputs that a head reads.

    Attributes:
        inputs: From observations to inputs of the body.
        body: The network.
        head: The action distribution.
        free: Gives the head's free numbers, None if it has none.
        agents: A.
        observation_size: O.
    """

    free: LastOffset | None

    def __init__(self, inputs: AgentInputs, body: Body, head: Head, log_std: float = 0.0):
        """Keep the parts.

        Args:
            inputs: From observations to inputs of the body.
            body: The network.
            head: The action distribution.
            log_std: First value of the head's free numbers.
        """
        super().__init__()
        self.inputs, self.body, self.head = inputs, body, head
        start = nn.Parameter(torch.full((head.free,), log_std))
        self.free = LastOffset(start) if head.free else None
        self.agents, (self.observation_size,) = inputs.agents, inputs.sizes

    def advance(
        self, observations: Tensor, memory: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Make one step.

        Args:
            observations: [B, A, O].
            memory: [B, A, H].
            mask: Allowed actions [B, A, k], None where all are.

        Returns:
            Outputs [B, A, P] of the distribution, and the new memory.
        """
        outputs, memory = self.body.advance(self.inputs(observations), memory)
        return self.read(outputs, mask), memory

    @no_type_check  # It is traced with proxies.
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Give outputs for inputs of the body, from an empty memory.

        Args:
            x: [..., A, F].
            mask: Allowed actions [..., A, k], None where all are.

        Returns:
            [..., A, P], of the distribution over the allowed actions.
        """
        return self.read(self.body(x), mask)

    @no_type_check
    def read(self, outputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Put the free numbers behind what the body gives, and take forbidden actions out.

        Args:
            outputs: [..., A, size of the head].
            mask: Allowed actions [..., A, k], None where all are.

        Returns:
            [..., A, P].
        """
        if self.free is not None:
            outputs = torch.cat([outputs, self.free(torch.zeros_like(outputs))], -1)
        return self.head.allow(outputs, mask)
