"""What a step of players reports."""

import math
from dataclasses import dataclass

__all__ = ["PlayerStepInfo"]


@dataclass(frozen=True, kw_only=True)
class PlayerStepInfo:
    """What happened in one step, the costs being those before it.

    Attributes:
        costs: Every player's cost.
        residuals: Norm of every player's own gradient.
        accepted: Whether the players moved.
        length: Multiple of the stage game's move.
        damping: lambda of the move.
        ratio: Reduction ratio, NaN where the step is not judged.
        attempts: Moves that were tried.
        evaluations: Passes over the costs with a backward pass: one per player counts as one.
        products: Second-order backward passes.
        solve_residual: Relative residual of the linear solve.
        solve_converged: Whether that is within its tolerance.
        removed: Negative own curvatures that were taken out.
        reason: Why the players did not move; empty if they did.
    """

    costs: tuple[float, ...]
    residuals: tuple[float, ...]
    accepted: bool = True
    length: float = math.nan
    damping: float = math.nan
    ratio: float = math.nan
    attempts: int = 1
    evaluations: int = 1
    products: int = 0
    solve_residual: float = math.nan
    solve_converged: bool = True
    removed: int = 0
    reason: str = ""

    @property
    def residual(self) -> float:
        """Norm of all own gradients together."""
        return math.hypot(*self.residuals)
