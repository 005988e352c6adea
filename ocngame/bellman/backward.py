"""The Bellman backward pass, shared by trajectory games and networks.

A stage is anything that can expand Q from the next value and choose a policy from it: the dense
quadratic stages of trajectory games and the sample-space stages of networks alike.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from ocngame.bellman.value import evaluate_policy

__all__ = ["BackwardPass", "StageGame", "backward_pass"]


@runtime_checkable
class StageGame(Protocol):
    """What the backward pass needs of a stage.

    In which form values, Q-functions and policies come is for the stages to agree on with what
    evaluates a policy: expansions, sample-space columns or joined matrices.
    """

    def expand(self, value: Any) -> Any:
        """Expand every player's Q-function from the value at the next stage."""
        ...

    def solve(self, q: Any) -> tuple[Any, Any]:
        """Choose the joint policy of the stage, and a certificate of what was found."""
        ...


@dataclass(frozen=True, kw_only=True)
class BackwardPass:
    """Result of the backward pass over T stages.

    Attributes:
        policies: Policies of the stages 0 .. T-1.
        values: Values of the stages 0 .. T (T is terminal).
        certificates: What `solve` said of the stages 0 .. T-1.
    """

    policies: list[Any]
    values: list[Any]
    certificates: list[Any]


def backward_pass(
    stages: Iterable[StageGame],
    terminal: Any,
    evaluate: Callable[[Any, Any], Any] = evaluate_policy,
) -> BackwardPass:
    """Run the Bellman recursion from the terminal value to stage 0.

    Args:
        stages: The stage games in forward order.
        terminal: Every player's value at the terminal state.
        evaluate: What the stage hands to the stage before it: the value of playing the policy, or
            the costate along it (`evaluate_costate`).

    Returns:
        Policies, values and certificates in forward order.
    """
    value = terminal
    policies, values, certificates = [], [terminal], []
    for stage in reversed(list(stages)):
        q = stage.expand(value)
        policy, certificate = stage.solve(q)
        value = evaluate(q, policy)
        policies.append(policy)
        values.append(value)
        certificates.append(certificate)
    return BackwardPass(
        policies=policies[::-1], values=values[::-1], certificates=certificates[::-1]
    )
