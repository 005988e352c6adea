r"""The clipped surrogate (Schulman et al., 2017, 1707.06347) and the critic's loss.

With the ratio `r = exp(log pi - log pi_old)` and advantages A,

    policy loss = - mean min(r A, clamp(r, 1 - e, 1 + e) A) - c mean entropy

whose gradient at the old policy is the policy gradient. The divergence from the old policy is
estimated by `mean(r - 1 - log r)`, which is non-negative and has little variance. For a value v,
its old value v_0 and a target R in the critic's units

    critic loss = mean 1/2 max((v - R)^2, (v_0 + clamp(v - v_0, -d, d) - R)^2)

without the second term where no d is given. Means are over the actions that count.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.agents.networks import Head

__all__ = ["PolicyLoss", "critic_loss", "policy_loss"]


@dataclass(frozen=True)
class PolicyLoss:
    """The loss and what is told of it.

    Attributes:
        loss: With its graph.
        entropy: Mean entropy.
        divergence: Estimated divergence from the old policy.
        clipped: Part of the actions whose ratio is beyond the clip.
    """

    loss: Tensor
    entropy: Tensor
    divergence: Tensor
    clipped: Tensor


def policy_loss(
    head: Head,
    outputs: Tensor,
    choices: Tensor,
    old: Tensor,
    advantages: Tensor,
    weight: Tensor | None,
    *,
    clip: float,
    entropy: float,
) -> PolicyLoss:
    """Give the policy's loss.

    Args:
        head: The action distribution.
        outputs: [..., P].
        choices: As the head drew them.
        old: [...], log-probabilities when they were drawn.
        advantages: [...].
        weight: [...], 0 for actions that do not count; None where all do.
        clip: e.
        entropy: c.

    Returns:
        The loss.
    """
    log, spread = head.score(outputs, choices)
    change = log - old
    ratio = change.exp()
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
    surrogate, mean_entropy = _mean(gain, weight), _mean(spread, weight)
    with torch.no_grad():
        divergence = _mean(ratio - 1 - change, weight)
        clipped = _mean(((ratio - 1).abs() > clip).to(ratio), weight)
    return PolicyLoss(
        -surrogate - entropy * mean_entropy, mean_entropy.detach(), divergence, clipped
    )


def critic_loss(
    values: Tensor, old: Tensor, targets: Tensor, weight: Tensor | None, *, clip: float
) -> Tensor:
    """Give the critic's loss.

    Args:
        values: [...].
        old: [...].
        targets: [...].
        weight: [...], 0 for what does not count; None where all does.
        clip: d; 0 for no limit.

    Returns:
        The loss, with its graph.
    """
    error = (values - targets).square()
    if clip > 0:
        near = old + (values - old).clamp(-clip, clip)
        error = torch.maximum(error, (near - targets).square())
    return 0.5 * _mean(error, weight)


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return values.mean()
    return (values * weight).sum() / weight.sum().clamp_min(1.0)
