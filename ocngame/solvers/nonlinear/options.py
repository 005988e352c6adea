"""Settings of the nonlinear solver."""

from dataclasses import dataclass, field

from ocngame._checks import in_range, integer, positive

__all__ = ["AugmentedLagrangian", "IterationOptions"]


@dataclass(frozen=True, kw_only=True)
class AugmentedLagrangian:
    """How constraints are brought in.

    Attributes:
        penalty: Penalty of the first round.
        growth: Factor on the penalty where a round did not shrink the violation by `shrink`.
        shrink: The part of the violation that a round may leave without raising the penalty.
        tolerance: Largest violation, and largest product of a multiplier and its constraint.
        max_rounds: Most updates of the multipliers.
    """

    penalty: float = 10.0
    growth: float = 5.0
    shrink: float = 0.25
    tolerance: float = 1e-8
    max_rounds: int = 30

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("penalty", self.penalty)
        in_range("growth", self.growth, low=1.0, high=1e6)
        in_range("shrink", self.shrink, low=0.0, high=1.0)
        positive("tolerance", self.tolerance)
        integer("max_rounds", self.max_rounds, low=1)


@dataclass(frozen=True, kw_only=True)
class IterationOptions:
    """When an iteration ends, and of which quadratic game it looks for the fixed point.

    Attributes:
        tolerance: Largest residual of a solved element: the norm of the players' own gradients, in
            units of cost per unit of control.
        max_iterations: Most steps; with constraints, most steps in a round.
        dynamics_hessian: Whether the curvature of the dynamics enters the quadratic game. With it,
            feedback gains are best responses to first order off the path, and open-loop and
            cooperative steps are Newton's. Without it, gains are those of classical iterative LQ:
            the path is stationary for other gains, and convergence is linear.
        constraints: How constraints are brought in.
    """

    tolerance: float = 1e-9
    max_iterations: int = 100
    dynamics_hessian: bool = True
    constraints: AugmentedLagrangian = field(default_factory=AugmentedLagrangian)

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("tolerance", self.tolerance)
        integer("max_iterations", self.max_iterations, low=1)
