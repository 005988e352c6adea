"""Which curvature rule fits which kind of control."""

from ocngame.curvature.base import Curvature
from ocngame.curvature.diagonal import DiagonalCurvature

__all__ = ["rule_for"]


def rule_for(rule: Curvature, factored: bool) -> Curvature:
    """Give the rule for one control.

    Scales, offsets and tables have no factors: where the rule needs them, such a control has its
    diagonal curvature instead, with the same memory.

    Args:
        rule: The rule that the settings ask for.
        factored: Whether the control's columns are sums of outer products.

    Returns:
        The rule itself, or the diagonal one.
    """
    if factored or not rule.needs_factors:
        return rule
    return DiagonalCurvature(decay=getattr(rule, "decay", DiagonalCurvature.decay))
