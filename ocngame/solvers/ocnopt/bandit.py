r"""EXP3, a bandit for rewards that follow no distribution.

Arms i = 1..K have weights w. In every round

    p_i = (1 - gamma) w_i / sum_j w_j + gamma / K

arm a is drawn from p, its reward x in [0, 1] is seen, and `w_a <- w_a exp(gamma x / (K p_a))`
(Auer, Cesa-Bianchi, Freund & Schapire, SIAM J. Comput. 32, 2002, figure 1). Against the best single
arm with total reward at most g the expected regret is at most

    (e - 1) gamma g + K ln K / gamma  <=  2.63 sqrt(g K ln K)

for `gamma = min(1, sqrt(K ln K / ((e - 1) g)))` (ibid., theorem 3.1 and corollary 3.2). Weights are
kept as logarithms, their largest zero.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import in_range, integer
from ocngame.errors import InvalidInputError

__all__ = ["Exp3"]


@dataclass(frozen=True, kw_only=True)
class Exp3:
    """EXP3.

    Attributes:
        gamma: Share of exploration, in (0, 1].
    """

    gamma: float = 0.1

    def __post_init__(self) -> None:
        """Validate the settings."""
        in_range("gamma", self.gamma, low=0.0, high=1.0, low_open=True)

    @classmethod
    def for_rounds(cls, arms: int, rounds: int) -> "Exp3":
        """Choose gamma for a known number of rounds.

        Args:
            arms: K.
            rounds: Number of rounds, a bound g of the best arm's total reward.

        Returns:
            The bandit with the least bound of its regret.
        """
        integer("arms", arms, low=1)
        integer("rounds", rounds, low=1)
        gamma = math.sqrt(arms * math.log(arms) / ((math.e - 1) * rounds))
        return cls(gamma=min(1.0, gamma) if arms > 1 else 1.0)

    def init(self, arms: int) -> Tensor:
        """Give the weights before the first round.

        Args:
            arms: K.

        Returns:
            Logarithms of the weights, shape (K,).
        """
        return torch.zeros(arms, dtype=torch.float64)

    def probabilities(self, weights: Tensor) -> Tensor:
        """Give the probability of each arm.

        Args:
            weights: Logarithms of the weights, shape (K,).

        Returns:
            Shape (K,).
        """
        return (1.0 - self.gamma) * weights.softmax(0) + self.gamma / len(weights)

    def draw(self, weights: Tensor, generator: torch.Generator) -> int:
        """Draw an arm.

        Args:
            weights: Logarithms of the weights.
            generator: Source of the draw.

        Returns:
            The arm.
        """
        return int(torch.multinomial(self.probabilities(weights), 1, generator=generator))

    def rewarded(self, weights: Tensor, arm: int, reward: float) -> Tensor:
        """Take in the reward of a drawn arm.

        Args:
            weights: Logarithms of the weights at the draw.
            arm: The arm.
            reward: Its reward, in [0, 1].

        Returns:
            The new logarithms of the weights.

        Raises:
            InvalidInputError: if the reward is not in [0, 1].
        """
        if not 0.0 <= reward <= 1.0:
            raise InvalidInputError(f"reward: expected a number in [0, 1], got {reward}")
        new = weights.clone()
        new[arm] += self.gamma * reward / (len(weights) * float(self.probabilities(weights)[arm]))
        return new - new.max()
