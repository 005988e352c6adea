r"""Returns of all players as a differentiable function of all policies, from recorded play.

Along a play, with the agents m that act at t, their present policies pi and those mu that played,

    w_t = sum over s <= t and agents m of  log pi^m(a_s^m) - log mu^m(a_s^m),     box_t = exp(w_t)

    J^n = mean over plays of  sum_t gamma^t (box_t - box_{t-1}) A_t^n  +  mean return of player n

with box = 1 before the first step of an episode and A_t^n = G_t^n - b^n(s_t) the discounted return
to go less any baseline of the past. Without b it telescopes to `sum_t gamma^t box_t r_t^n`: at the
policies that played this is DiCE (Foerster et al., 1802.05098, section 4, there with a
stop-gradient in the place of mu), whose derivatives of every order in all policies are unbiased
estimates of those of the return; the baseline's part has mean zero to every order (Loaded DiCE,
Farquhar et al., 1909.10549, section 4). Away from the policies that played, box_t is the importance
weight, so that J^n estimates the return there as well.

So the mixed second derivatives, in which a product of two players' scores meets the return that
follows both, are those of the game. A surrogate `log pi^n A` of each player has none.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Plays", "differentiable_returns", "discounted_to_go"]


@dataclass(frozen=True, kw_only=True)
class Plays:
    """Whole episodes of B copies over T steps, for N players.

    Attributes:
        behaviour: Log probabilities under the policies that played, summed over all agents that
            act, [T, B].
        advantages: A, [T, B, N].
        returns: Mean discounted return of each player, [N].
        first: Whether a step is the first of its episode, [T, B], bool.
        age: Steps since the episode began, [T, B].
        weights: Of the steps in the mean, [T, B]; one over the number of episodes, or an episode's
            probability where all are listed.
    """

    behaviour: Tensor
    advantages: Tensor
    returns: Tensor
    first: Tensor
    age: Tensor
    weights: Tensor


def discounted_to_go(rewards: Tensor, over: Tensor, discount: float) -> Tensor:
    """Give the returns to go.

    Args:
        rewards: [T, B, N].
        over: Whether the episode was over after the step, [T, B], bool.
        discount: gamma.

    Returns:
        G, [T, B, N]; an episode that is cut off counts as over.
    """
    found = torch.empty_like(rewards)
    ahead = torch.zeros_like(rewards[0])
    for t in range(len(rewards) - 1, -1, -1):
        ahead = rewards[t] + discount * torch.where(over[t][:, None], 0.0, ahead)
        found[t] = ahead
    return found


def differentiable_returns(log_probabilities: Tensor, plays: Plays, discount: float) -> Tensor:
    """Give every player's return.

    Args:
        log_probabilities: Under the present policies, summed over all agents that act, [T, B].
        plays: What was played.
        discount: gamma.

    Returns:
        J, [N].
    """
    ratio = log_probabilities - plays.behaviour
    weight = torch.zeros_like(ratio[0])
    steps = []
    for t in range(len(ratio)):
        before = torch.where(plays.first[t], torch.zeros_like(weight), weight)
        weight = before + ratio[t]
        steps.append(weight.exp() - before.exp())
    change = torch.stack(steps) * discount**plays.age * plays.weights
    return plays.returns + torch.einsum("tb,tbn->n", change, plays.advantages)
