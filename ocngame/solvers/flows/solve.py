"""How an ordinary differential equation is solved."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torchdiffeq import odeint, odeint_adjoint

from ocngame._checks import integer, positive

__all__ = ["AdjointDopri5", "FixedSteps", "SolverChoice", "solve_ode"]


@dataclass(frozen=True, kw_only=True)
class FixedSteps:
    """Even steps, differentiated as they are.

    Attributes:
        method: Rule of a step.
        steps: Number of steps.
    """

    method: Literal["euler", "midpoint", "rk4"] = "rk4"
    steps: int = 4

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("steps", self.steps, low=1)


@dataclass(frozen=True, kw_only=True)
class AdjointDopri5:
    """Adaptive steps, differentiated by the adjoint equation.

    Attributes:
        rtol: Relative tolerance.
        atol: Absolute tolerance.
    """

    rtol: float = 1e-3
    atol: float = 1e-3

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("rtol", self.rtol)
        positive("atol", self.atol)


SolverChoice = FixedSteps | AdjointDopri5


def solve_ode(
    field: nn.Module, x: Tensor, start: float, end: float, solver: SolverChoice
) -> Tensor:
    """Solve `x' = field(t, x)`.

    Args:
        field: The field.
        x: State at the start, any shape.
        start: Time of it.
        end: Time to solve to, before or after it.
        solver: How.

    Returns:
        The state at the end.
    """
    times = torch.tensor([start, end], dtype=x.dtype, device=x.device)
    if isinstance(solver, FixedSteps):
        size = abs(end - start) / solver.steps
        return odeint(field, x, times, method=solver.method, options={"step_size": size})[-1]
    return odeint_adjoint(field, x, times, method="dopri5", rtol=solver.rtol, atol=solver.atol)[-1]
