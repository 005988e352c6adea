r"""Decoupled weight decay, all over or where it does not work against the move.

With rate eta, decay gamma and move d (already a descent direction), a parameter u becomes

    PLAIN:     u <- u - eta gamma u              + eta d
    CAUTIOUS:  u <- u - eta gamma u [u d < 0]    + eta d     ([.] entry by entry)

The cautious form (Chen et al., 2510.12402, algorithm 1; there d = -u_t) takes away only from
entries that the move makes smaller anyway: it never undoes what the move has gained, and a
stationary point of the loss stays one.

By default gamma grows as a schedule lowers the learning rate, `gamma (1 - eta / eta_max)^2`: while
steps are long the loss has them to itself, later the weights that the fit does not need go, while
steps are still long enough to keep the fit.
"""

# torch's own optimizers are written with these functions; one call moves all parameters.
# pyright: reportPrivateImportUsage=false

from collections.abc import Sequence
from enum import StrEnum

import torch
from torch import Tensor

__all__ = ["CONSTANT_WEIGHT_DECAY", "WEIGHT_DECAY", "Decay", "decay_and_move"]

WEIGHT_DECAY = 0.15
"""gamma of `OCNOpt` where none is given."""

CONSTANT_WEIGHT_DECAY = 3e-3
"""The same for a decay that does not grow."""


class Decay(StrEnum):
    """Which entries of a parameter decay.

    Attributes:
        PLAIN: All.
        CAUTIOUS: Those that the move makes smaller.
    """

    PLAIN = "plain"
    CAUTIOUS = "cautious"


@torch.no_grad()
def decay_and_move(
    parameters: Sequence[Tensor],
    moves: Sequence[Tensor],
    rates: Sequence[float],
    decays: Sequence[float],
    kind: Decay,
) -> None:
    """Move parameters in place, after their decay.

    Args:
        parameters: u of each.
        moves: d of each, of the same shape.
        rates: eta of each.
        decays: eta gamma of each, the part that is taken away.
        kind: Which entries decay.
    """
    if not parameters:
        return
    ours, steps = list(parameters), torch._foreach_mul(list(moves), list(rates))
    if any(decays) and kind is Decay.PLAIN:
        torch._foreach_mul_(ours, [1.0 - decay for decay in decays])
    elif any(decays):
        # The sign of u d, cut to -1 and 0, is minus the bracket; entries that rest decay nowhere.
        brackets = torch._foreach_mul(ours, list(moves))
        torch._foreach_sign_(brackets)
        torch._foreach_clamp_max_(brackets, 0.0)
        torch._foreach_addcmul_(ours, ours, brackets, list(decays))
    torch._foreach_add_(ours, steps)
