"""The policy of a group: what each agent sees, a body, a head."""

import torch
from torch import Tensor, nn

from ocngame.agents.networks.body import Body
from ocngame.agents.networks.head import Head
from ocngame.agents.networks.inputs import AgentInputs

__all__ = ["Policy"]


class Policy(nn.Module):
    """From observations to the outputs that a head reads.

    Attributes:
        inputs: From observations to inputs of the body.
        body: The network.
        head: The action distribution.
        log_std: The head's free numbers, None if it has none.
        agents: A.
        observation_size: O.
    """

    log_std: nn.Parameter | None

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
        free = nn.Parameter(torch.full((head.free,), log_std)) if head.free else None
        self.register_parameter("log_std", free)
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
        return self.head.allow(self.complete(outputs), mask), memory

    def forward(self, x: Tensor) -> Tensor:
        """Give outputs for inputs of the body, from an empty memory.

        Args:
            x: [..., A, F].

        Returns:
            [..., A, P].
        """
        return self.complete(self.body(x))

    def complete(self, outputs: Tensor) -> Tensor:
        """Put the free numbers behind what the body gives.

        Args:
            outputs: [..., A, size of the head].

        Returns:
            [..., A, P].
        """
        if self.log_std is None:
            return outputs
        return torch.cat([outputs, self.log_std.expand_as(outputs)], -1)
