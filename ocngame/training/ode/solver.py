"""The block of a network that solves its equation, by the settings' solver."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import nn

from ocngame._checks import positive
from ocngame.errors import InvalidInputError
from ocngame.games.continuous import NeuralODE
from ocngame.games.twins import Traced
from ocngame.training.ode.config import ODEConfig

__all__ = ["AdjointBlock", "Block", "MakeBlock", "block_maker", "evaluations_of"]


class AdjointBlock(nn.Module):
    """Adaptive steps of torchdiffeq from 0 to 1, differentiated by the adjoint equation.

    Attributes:
        field: The vector field.
        total_evaluations: Evaluations of it so far, those of the backward equations included.
    """

    def __init__(self, field: nn.Module, *, tolerance: float = 1e-3):
        """Keep the field.

        Args:
            field: The field, called as (t, x).
            tolerance: Relative and absolute tolerance.

        Raises:
            InvalidInputError: if torchdiffeq is not installed or the tolerance makes no sense.
        """
        super().__init__()
        positive("tolerance", tolerance)
        try:
            import_module("torchdiffeq")
        except ImportError as error:
            raise InvalidInputError(
                "solver: adjoint_dopri5 needs the package torchdiffeq, which is not installed; "
                'pip install "ocngame[ode]" brings it'
            ) from error
        self.field = field
        self.tolerance = tolerance
        self.total_evaluations = 0
        field.register_forward_pre_hook(self._count)

    def forward(self, x: Traced) -> Traced:
        """Integrate.

        Args:
            x: State at 0, shape (B, ...).

        Returns:
            The state at 1, same shape.
        """
        times = torch.tensor([0.0, 1.0])
        options = {"rtol": self.tolerance, "atol": self.tolerance}
        solve = import_module("torchdiffeq").odeint_adjoint
        return solve(self.field, x, times, method="dopri5", **options)[-1]

    def _count(self, *_: object) -> None:
        self.total_evaluations += 1


Block = NeuralODE | AdjointBlock
MakeBlock = Callable[[nn.Module], nn.Module]


@dataclass(frozen=True)
class _Fixed:
    method: str
    steps: int
    mode: str
    learned: bool = False

    def __call__(self, field: nn.Module) -> nn.Module:
        rule: dict[str, Any] = {"method": self.method, "mode": self.mode}
        if self.learned:
            return NeuralODE(field, step=1 / self.steps, learn_times=True, **rule)
        return NeuralODE(field, steps=self.steps, **rule)


@dataclass(frozen=True)
class _Adjoint:
    tolerance: float

    def __call__(self, field: nn.Module) -> nn.Module:
        return AdjointBlock(field, tolerance=self.tolerance)


def block_maker(config: ODEConfig) -> MakeBlock:
    """Give what makes a solving block from a field.

    Args:
        config: Settings.

    Returns:
        A function of the field.
    """
    if config.solver == "adjoint_dopri5":
        return _Adjoint(config.tolerance)
    method = config.solver.removeprefix("adjoint_")
    mode = "discretise" if method == config.solver else "adjoint"
    return _Fixed(method, config.even_steps, mode, config.times.rule != "fixed")


def evaluations_of(network: nn.Module) -> int:
    """Count the evaluations of the fields of a network so far.

    Args:
        network: The network.

    Returns:
        Their number.
    """
    return sum(m.total_evaluations for m in network.modules() if isinstance(m, Block))
