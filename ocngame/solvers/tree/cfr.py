r"""CFR+: the tabular oracle that self-play is compared with.

With q the counterfactual values of the present policy, `r(I, a) = q(I, a) - sum_b pi(I, b) q(I, b)`
and regrets that are never below zero,

    R <- max(R + r, 0),        pi(I, .) = R(I, .) / sum R(I, .)     (uniform where the sum is 0)

one player after the other. What converges is the average, in which iteration t counts t times and
a player's information sets by its own reach (Tammelin, 1407.5042, algorithm 1, without delay).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import integer
from ocngame.games.tree import GameTree, counterfactual_values, reach

__all__ = ["CFRPlus", "RegretState"]


@dataclass(frozen=True)
class RegretState:
    """Where the iteration stands.

    Attributes:
        iteration: Number of iterations made.
        regrets: R, shape [K, A].
        weights: Sum of the policies by own reach and iteration, shape [K, A].
    """

    iteration: int
    regrets: Tensor
    weights: Tensor


@dataclass(frozen=True, kw_only=True)
class CFRPlus:
    """Counterfactual regret minimisation with regrets kept from below and linear averages."""

    def init(self, tree: GameTree) -> RegretState:
        """Give the first state.

        Args:
            tree: The game.

        Returns:
            The state, whose policy and average are uniform.
        """
        zero = torch.zeros(tree.legal.shape, dtype=torch.float64)
        return RegretState(0, zero, zero)

    def step(self, tree: GameTree, state: RegretState) -> RegretState:
        """Make one iteration: both players once.

        Args:
            tree: The game.
            state: Where it stands.

        Returns:
            The next state.
        """
        regrets, weights, t = state.regrets, state.weights, state.iteration + 1
        for player in (0, 1):
            policy = _proportional(tree, regrets)
            own = (tree.owner == player)[:, None]
            q, _ = counterfactual_values(tree, policy)
            gain = (q - (policy * q).sum(1, keepdim=True)) * tree.legal
            regrets = torch.where(own, (regrets + gain).clamp(min=0), regrets)
            policy = _proportional(tree, regrets)
            weights = weights + torch.where(own, t * _own_reach(tree, policy) * policy, 0.0)
        return RegretState(t, regrets, weights)

    def average(self, tree: GameTree, state: RegretState) -> Tensor:
        """Give the average policy.

        Args:
            tree: The game.
            state: Where it stands.

        Returns:
            Shape [K, A].
        """
        return _proportional(tree, state.weights)

    def solve(self, tree: GameTree, iterations: int) -> Tensor:
        """Iterate from the uniform policy.

        Args:
            tree: The game.
            iterations: How often.

        Returns:
            The average policy, shape [K, A].
        """
        integer("iterations", iterations, low=1)
        state = self.init(tree)
        for _ in range(iterations):
            state = self.step(tree, state)
        return self.average(tree, state)


def _proportional(tree: GameTree, weights: Tensor) -> Tensor:
    total = weights.sum(1, keepdim=True)
    return torch.where(total > 0, weights / total.clamp(min=1e-300), tree.uniform())


def _own_reach(tree: GameTree, policy: Tensor) -> Tensor:
    """Give every information set its owner's reach, the same at all of its nodes; [K, 1]."""
    parts = reach(tree, policy)
    mine = tree.info >= 0
    own = torch.where(tree.actor == 1, parts[1], parts[0])
    found = torch.zeros(tree.information_sets, 1, dtype=policy.dtype)
    found[tree.info[mine], 0] = own[mine]
    return found
