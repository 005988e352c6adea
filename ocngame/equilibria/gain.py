"""What decision makers can gain alone, and what stands behind the number."""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

__all__ = ["DeviationGain", "Evidence", "ratio"]


class Evidence(StrEnum):
    """What stands behind a deviation gain, as a sentence.

    Attributes:
        EXACT: The game is linear-quadratic.
        SEARCH: The game is nonlinear.
    """

    EXACT = "exact: the largest gain over all deviations"
    SEARCH = (
        "search: a deviation that gains as much was found, so it is a lower bound; where "
        "`bounded`, no deviation near the play gains more, to second order"
    )


@dataclass(frozen=True, kw_only=True)
class DeviationGain:
    """What D decision makers (the players, or one coalition) can gain alone.

    Attributes:
        gain: From the initial state, shape (..., D), at least zero in a nonlinear game; NaN where
            the play is NaN. Infinite where the own problem of a linear-quadratic game is unbounded
            or degenerate.
        subgame_gain: The most over all stages and all states within the radius of the path, in
            feedback play; the gain itself in open loop. Shape (..., D). In a nonlinear game, the
            larger of the gain found and the second-order estimate about the path; infinite where
            the own curvature is not positive.
        scale: Sum of the magnitudes of all terms of the cost on the path (in a nonlinear game, of
            the cost at every stage), shape (..., D).
        subgame_scale: The same with the largest state cost at the radius, shape (..., D).
        own_curvature: Smallest eigenvalue of the own problem's Hessian at each stage, relative to
            its largest entry, shape (..., D, T).
        evidence: Whether gains are exact or searched for.
        bounded: Whether the gain is an upper bound too, shape (..., D): over all deviations if it
            is exact; if it was searched for, over those near the play, where the own problem has
            positive curvature and its quadratic model promises no more than was found.
    """

    gain: Tensor
    subgame_gain: Tensor
    scale: Tensor
    subgame_scale: Tensor
    own_curvature: Tensor
    evidence: Evidence
    bounded: Tensor

    @property
    def relative(self) -> Tensor:
        """The gain as a part of the scale, shape (..., D)."""
        return ratio(self.gain, self.scale)

    @property
    def subgame_relative(self) -> Tensor:
        """The subgame gain as a part of its scale, shape (..., D)."""
        return ratio(self.subgame_gain, self.subgame_scale)


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Divide, with zero of zero as zero.

    Args:
        part: Numerators, shape (...).
        whole: Denominators, shape (...).

    Returns:
        The ratios, shape (...).
    """
    return torch.where((part == 0) & (whole == 0), torch.zeros_like(part), part / whole)
