"""The critic of a group: the expected return of each agent, from what it sees or from all there is.

IPPO's critic sees the agent's own observation; MAPPO's (Yu et al., 2022, 2103.01955) the state of
the world as well.
"""

from typing import no_type_check

from torch import Tensor, nn

from ocngame.agents.networks.body import Body
from ocngame.agents.networks.inputs import AgentInputs
from ocngame.agents.networks.linear import linear_parts
from ocngame.agents.networks.running import RunningMoments

__all__ = ["Critic"]


class Critic(nn.Module):
    """From observations to values, in units of the running deviation of returns.

    Attributes:
        inputs: From observations, and the state of the world, to inputs of the body.
        body: The network, with one output per agent.
        central: Whether it sees the state.
        returns: Moments of returns, None where values are not normalised.
    """

    def __init__(
        self, inputs: AgentInputs, body: Body, *, central: bool, returns: RunningMoments | None
    ):
        """Keep the parts.

        Args:
            inputs: From observations to inputs of the body.
            body: The network.
            central: Whether it sees the state.
            returns: Moments of returns.
        """
        super().__init__()
        self.inputs, self.body, self.central, self.returns = inputs, body, central, returns

    @no_type_check  # It is traced with proxies.
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Give values in the network's units, from an empty memory.

        Args:
            x: [..., A, F].
            mask: Allowed actions, of no consequence for values.

        Returns:
            [..., A, 1].
        """
        return self.read(self.body(x), mask)

    @no_type_check
    def read(self, outputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Give what the body gives.

        Args:
            outputs: [..., A, 1].
            mask: Allowed actions, of no consequence for values.

        Returns:
            [..., A, 1].
        """
        return outputs

    def parts(self, observations: Tensor, state: Tensor) -> tuple[Tensor, ...]:
        """Say what it sees.

        Args:
            observations: [..., A, O].
            state: [..., S].

        Returns:
            The parts that `inputs` joins, [..., A, O_j].
        """
        if not self.central:
            return (observations,)
        everywhere = state.unsqueeze(-2).expand(*observations.shape[:-1], state.shape[-1])
        return everywhere, observations

    def to_returns(self, values: Tensor) -> Tensor:
        """Turn the network's units into those of returns.

        Args:
            values: [...].

        Returns:
            [...].
        """
        if self.returns is None:
            return values
        return self.returns.restore(values.unsqueeze(-1)).squeeze(-1)

    def from_returns(self, returns: Tensor) -> Tensor:
        """Turn returns into the network's units.

        Args:
            returns: [...].

        Returns:
            [...].
        """
        if self.returns is None:
            return returns
        return self.returns.normalise(returns.unsqueeze(-1)).squeeze(-1)

    def learn_scale(self, returns: Tensor) -> None:
        """Take returns into the moments; what the network stands for does not change.

        Args:
            returns: [n].
        """
        if self.returns is not None:
            self.returns.update_under(returns.unsqueeze(-1), linear_parts(self.body.last))
