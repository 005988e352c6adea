"""The values of playing given policies on a linear-quadratic game, whatever they are."""

from dataclasses import dataclass

from ocngame.bellman.backward import BackwardPass, backward_pass
from ocngame.bellman.expansions import QExpansion, QuadraticStage, ValueExpansion, expand_q
from ocngame.bellman.lq_stages import lq_stages, lq_terminal, unstack_policies
from ocngame.bellman.policy import AffinePolicy
from ocngame.games.lq import LQGame

__all__ = ["FixedPolicyStage", "evaluate_policies"]


@dataclass(frozen=True, kw_only=True)
class FixedPolicyStage:
    """A dense stage at which the joint policy is given.

    Attributes:
        quadratic: Dynamics and running costs.
        policy: The joint policy.
    """

    quadratic: QuadraticStage
    policy: AffinePolicy

    def expand(self, value: ValueExpansion) -> QExpansion:
        """Expand every player's Q-function.

        Args:
            value: Values at the next stage.

        Returns:
            The expansion.
        """
        return expand_q(self.quadratic, value)

    def solve(self, q: QExpansion) -> tuple[AffinePolicy, QExpansion]:
        """Give the policy, and the Q-functions against which it can be judged.

        Args:
            q: Expansion from `expand`.

        Returns:
            The given policy and `q`.
        """
        return self.policy, q


def evaluate_policies(game: LQGame, policies: AffinePolicy) -> BackwardPass:
    """Run the general value recursion under given policies.

    Args:
        game: The game.
        policies: A stack with feedforward (..., T, m) and feedback (..., T, m, n).

    Returns:
        The policies, every player's values, and as certificates the Q-functions of the stages.
    """
    stages = [
        FixedPolicyStage(quadratic=quadratic, policy=policy)
        for quadratic, policy in zip(lq_stages(game), unstack_policies(policies), strict=True)
    ]
    return backward_pass(stages, lq_terminal(game))
