r"""Magnetic mirror descent on the exact tree.

At every information set, with q the counterfactual values of the present policy divided by the
counterfactual reach and rho a reference policy,

    log pi' = (log pi + eta q + eta alpha log rho) / (1 + eta alpha) + const

(Sokota et al., 2206.05825, equation 11, for the negative entropy). For a fixed rho the last iterate
tends to a fixed point, the equilibrium regularised by alpha in agent form; its distance from an
equilibrium of the game shrinks with alpha. `reference_rate` lets rho follow, `rho^(1 - tau) pi^tau`
up to scale, so that the fixed points are those of the game itself.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import in_range, integer, non_negative, positive
from ocngame.games.tree import GameTree, counterfactual_values

__all__ = ["MagneticDescent", "MagneticState"]


@dataclass(frozen=True)
class MagneticState:
    """Where the iteration stands.

    Attributes:
        policy: Logarithms of pi, shape [K, A]; 0 for actions that are not legal.
        reference: Logarithms of rho, likewise.
    """

    policy: Tensor
    reference: Tensor


@dataclass(frozen=True, kw_only=True)
class MagneticDescent:
    """Settings.

    Attributes:
        step_size: eta, per unit of payoff.
        weight: alpha, in units of payoff.
        reference_rate: tau; 0: the reference stays uniform.
    """

    step_size: float = 0.1
    weight: float = 0.1
    reference_rate: float = 0.0

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("step_size", self.step_size)
        non_negative("weight", self.weight)
        in_range("reference_rate", self.reference_rate, low=0.0, high=1.0)

    def init(self, tree: GameTree) -> MagneticState:
        """Give the first state.

        Args:
            tree: The game.

        Returns:
            The state, uniform.
        """
        log = tree.uniform().clamp(min=1e-300).log() * tree.legal
        return MagneticState(log, log)

    def step(self, tree: GameTree, state: MagneticState) -> MagneticState:
        """Make one iteration, all information sets at once.

        Args:
            tree: The game.
            state: Where it stands.

        Returns:
            The next state.
        """
        q, weight = counterfactual_values(tree, self.policy(tree, state))
        q = q / weight.clamp(min=1e-300)[:, None]
        pull = self.step_size * self.weight
        mixed = (state.policy + self.step_size * q + pull * state.reference) / (1 + pull)
        policy = _normalised(tree, mixed)
        tau = self.reference_rate
        reference = _normalised(tree, (1 - tau) * state.reference + tau * policy)
        return MagneticState(policy, reference)

    def policy(self, tree: GameTree, state: MagneticState) -> Tensor:
        """Give the policy of a state.

        Args:
            tree: The game.
            state: Where it stands.

        Returns:
            Shape [K, A].
        """
        return state.policy.exp() * tree.legal

    def solve(self, tree: GameTree, iterations: int) -> Tensor:
        """Iterate from the uniform policy.

        Args:
            tree: The game.
            iterations: How often.

        Returns:
            The last policy, shape [K, A].
        """
        integer("iterations", iterations, low=1)
        state = self.init(tree)
        for _ in range(iterations):
            state = self.step(tree, state)
        return self.policy(tree, state)


def _normalised(tree: GameTree, log: Tensor) -> Tensor:
    shifted = log.masked_fill(~tree.legal, -torch.inf)
    return shifted.log_softmax(1).masked_fill(~tree.legal, 0.0)
