r"""Two-player zero-sum games in extensive form, as tensors.

Nodes h = 0..S-1 stand level by level, the root first, so that a pass over a game is a loop over its
depth with one gather or scatter a level. Information sets I = 0..K-1 of both players share one
numbering and one number A of actions; a policy is a tensor [K, A] whose rows are distributions over
the legal actions. The payoff is player 0's, and player 1's is its negative.

Two properties are required and checked, as the passes rest on them: perfect recall (a player
remembers what it knew and did), and information sets that lie in one level each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ocngame._tensor_checks import finite, shaped
from ocngame.errors import InvalidInputError

__all__ = ["CHANCE", "TERMINAL", "GameTree"]

CHANCE = -1
"""Actor of a node at which chance moves."""

TERMINAL = -2
"""Actor of a node at which the game is over."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GameTree:
    """A game.

    Attributes:
        name: As users write it.
        parent: [S], -1 for the root.
        actor: [S], 0 or 1 for the players, `CHANCE`, `TERMINAL`.
        action: [S], the player's action that leads here; -1 for the root and after chance.
        probability: [S], of the step here where chance made it, else 1; float64.
        info: [S], information set of a player's node, else -1.
        payoff: [S], player 0's at terminal nodes, else 0; float64.
        levels: First and last node (exclusive) of every depth.
        legal: [K, A], bool.
        owner: [K], whose information set it is.
        labels: What stands for each information set in messages and tables; K of them.
        observations: [K, O], what the owner sees, float32.
        states: [S, 2 O], what both players see at every node, player 0's view first, float32.
    """

    name: str
    parent: Tensor
    actor: Tensor
    action: Tensor
    probability: Tensor
    info: Tensor
    payoff: Tensor
    levels: tuple[tuple[int, int], ...]
    legal: Tensor
    owner: Tensor
    labels: tuple[str, ...]
    observations: Tensor
    states: Tensor

    def __post_init__(self) -> None:
        """Check that every information set is of one player, in one level, and recalled.

        Raises:
            InvalidInputError: naming the information set that is not.
        """
        depth = torch.empty_like(self.parent)
        for d, (start, stop) in enumerate(self.levels):
            depth[start:stop] = d
        before = self._last_sequences()
        mine = self.info >= 0
        for what, values in (
            ("of one player", self.actor),
            ("in one level of the tree", depth),
            ("reached by one sequence of its player's actions (perfect recall)", before),
        ):
            low = torch.full((len(self.owner),), torch.iinfo(torch.long).max)
            high = torch.full((len(self.owner),), torch.iinfo(torch.long).min)
            low.scatter_reduce_(0, self.info[mine], values[mine], "amin")
            high.scatter_reduce_(0, self.info[mine], values[mine], "amax")
            if bool((low != high).any()):
                label = self.labels[int((low != high).nonzero()[0])]
                raise InvalidInputError(f"game: expected information sets {what}, {label!r} is not")

    @property
    def size(self) -> int:
        """Number S of nodes."""
        return len(self.parent)

    @property
    def information_sets(self) -> int:
        """Number K of information sets."""
        return len(self.owner)

    @property
    def actions(self) -> int:
        """Number A of actions."""
        return self.legal.shape[1]

    @cached_property
    def slot(self) -> Tensor:
        """Place of the step to a node in a flat policy [K * A], shape [S]; -1 without one."""
        known = self.action >= 0
        slot = self.info[self.parent.clamp(min=0)] * self.actions + self.action
        return torch.where(known, slot, -1)

    def uniform(self) -> Tensor:
        """Give the policy that chooses uniformly among the legal actions.

        Returns:
            Shape [K, A], float64.
        """
        return self.legal.double() / self.legal.sum(1, keepdim=True)

    def policy(self, choose: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Make a policy from a function of what players see.

        Args:
            choose: Gives probabilities [K, A] from observations [K, O] and legal actions [K, A].

        Returns:
            The policy in float64, its rows scaled to sum to one.
        """
        with torch.no_grad():
            found = choose(self.observations, self.legal).double() * self.legal
        self.check_policy(found, tolerance=1e-3)
        return found / found.sum(1, keepdim=True)

    def check_policy(self, policy: Tensor, tolerance: float = 1e-6) -> None:
        """Require rows that are distributions over the legal actions.

        Args:
            policy: Shape [K, A].
            tolerance: How far a sum may be from one.

        Raises:
            InvalidInputError: if they are not.
        """
        shaped("policy", policy, "K A", K=self.information_sets, A=self.actions)
        finite("policy", policy)
        bad = (policy < 0).any(1) | ((policy * ~self.legal) > 0).any(1)
        bad |= (policy.sum(1) - 1).abs() > tolerance
        if bool(bad.any()):
            k = int(bad.nonzero()[0])
            raise InvalidInputError(
                f"policy: expected probabilities of the legal actions that sum to 1, got "
                f"{[round(p, 6) for p in policy[k].tolist()]} at {self.labels[k]!r}"
            )

    def _last_sequences(self) -> Tensor:
        """Give the slot of the actor's own last action before each of its nodes, -1 for none."""
        last = torch.full((2, self.size), -1)
        for start, stop in self.levels[1:]:
            up = self.parent[start:stop]
            last[:, start:stop] = last[:, up]
            slot = self.slot[start:stop]
            for player in (0, 1):
                moved = self.actor[up] == player
                last[player, start:stop][moved] = slot[moved]
        return torch.where(self.actor == 1, last[1], last[0])
