r"""Passes over a game tree: a gather or scatter a level, no loop over nodes.

With pi the joint policy, a reach probability factors into the players' and chance's parts,
`r(h) = r_0(h) r_1(h) r_c(h)`. For player i with the other one -i, at an information set I and
action a,

    q_i(I, a) = sum over h in I of  r_{-i}(h) r_c(h) v_i(h a)      (counterfactual values,
                                                                    Zinkevich et al. 2007, eq. 5)

where v_i(h) is the expected payoff from h on. A best response takes, from the deepest level up,
the action of largest `q_i` with v_i under its own later choices: by perfect recall that is optimal.
"""

from itertools import pairwise

import torch
from torch import Tensor

from ocngame.games.tree.game_tree import GameTree

__all__ = ["best_response", "counterfactual_values", "node_values", "reach", "root_value"]


def reach(tree: GameTree, policy: Tensor) -> Tensor:
    """Give the factors of the reach probabilities.

    Args:
        tree: The game.
        policy: Shape [K, A].

    Returns:
        Shape [3, S]: of player 0, player 1, chance.
    """
    step = _steps(tree, policy)
    found = torch.ones(3, tree.size, dtype=policy.dtype)
    for start, stop in tree.levels[1:]:
        up = tree.parent[start:stop]
        part = tree.actor[up].remainder(3)
        rows = found[:, up]
        chosen = rows.gather(0, part[None]) * step[None, start:stop]
        found[:, start:stop] = rows.scatter(0, part[None], chosen)
    return found


def node_values(tree: GameTree, policy: Tensor) -> Tensor:
    """Give player 0's expected payoff from every node on; autograd goes through.

    Args:
        tree: The game.
        policy: Shape [K, A].

    Returns:
        Shape [S].
    """
    step = _steps(tree, policy)
    payoff = tree.payoff.to(policy.dtype)
    below = payoff[slice(*tree.levels[-1])]
    found = [below]
    for (start, end), (first, stop) in reversed(list(pairwise(tree.levels))):
        # Out of place, so that autograd can go through.
        up = tree.parent[first:stop] - start
        below = payoff[start:end].index_add(0, up, step[first:stop] * below)
        found.append(below)
    return torch.cat(found[::-1])


def root_value(tree: GameTree, policy: Tensor) -> Tensor:
    """Give player 0's expected payoff.

    Args:
        tree: The game.
        policy: Shape [K, A].

    Returns:
        A scalar.
    """
    return node_values(tree, policy)[0]


def counterfactual_values(tree: GameTree, policy: Tensor) -> tuple[Tensor, Tensor]:
    """Give every information set's owner the counterfactual value of each action.

    Args:
        tree: The game.
        policy: Shape [K, A].

    Returns:
        q, shape [K, A], zero for actions that are not legal; and the counterfactual reach of the
        information sets, shape [K].
    """
    parts = reach(tree, policy)
    values = node_values(tree, policy)
    others = parts[2] * torch.where(tree.actor == 1, parts[0], parts[1])
    sign = torch.where(tree.actor == 1, -1.0, 1.0).to(policy.dtype)
    below = tree.slot >= 0
    up = tree.parent[below]
    q = torch.zeros(tree.information_sets * tree.actions, dtype=policy.dtype)
    q.index_add_(0, tree.slot[below], others[up] * sign[up] * values[below])
    mine = tree.info >= 0
    weight = torch.zeros(tree.information_sets, dtype=policy.dtype)
    weight.index_add_(0, tree.info[mine], others[mine])
    return q.view(tree.legal.shape), weight


def best_response(tree: GameTree, policy: Tensor, player: int) -> tuple[Tensor, Tensor]:
    """Give the best that a player can do against the other one's policy.

    Args:
        tree: The game.
        policy: Shape [K, A]; rows of the player itself are not used.
        player: 0 or 1.

    Returns:
        Its value for the player, a scalar, and the policy with the player's rows replaced by a pure
        best response.
    """
    parts = reach(tree, policy)
    others = parts[2] * parts[1 - player]
    sign = 1.0 if player == 0 else -1.0
    values = sign * tree.payoff.to(policy.dtype)
    step = _steps(tree, policy)
    response = policy.clone().view(-1)
    slots = response.shape[0]
    for start, stop in reversed(tree.levels[1:]):
        up, slot = tree.parent[start:stop], tree.slot[start:stop]
        own = tree.actor[up] == player
        if bool(own.any()):
            q = torch.zeros(slots, dtype=policy.dtype)
            q.index_add_(0, slot[own], others[up[own]] * values[start:stop][own])
            here = tree.info[up[own]].unique()
            rows = q.view(tree.legal.shape)[here].masked_fill(~tree.legal[here], -torch.inf)
            pure = torch.nn.functional.one_hot(rows.argmax(1), tree.actions).to(policy.dtype)
            response.view(tree.legal.shape)[here] = pure
            step[start:stop][own] = response[slot[own]]
        values.index_add_(0, up, step[start:stop] * values[start:stop])
    return values[0], response.view(tree.legal.shape)


def _steps(tree: GameTree, policy: Tensor) -> Tensor:
    """Give the probability of the step to every node, shape [S]."""
    chance = tree.probability.to(policy.dtype)
    return torch.where(tree.slot >= 0, policy.reshape(-1)[tree.slot.clamp(min=0)], chance)
