r"""A network block whose output is the solution of an ODE.

    x' = F(t, x),    x(t_0) = input,    output: x(t_K), or x(t_0) .. x(t_K)

The field F is one control that acts at every stage of the solver: discretise, then optimise. Each
interval between two times has its own number of equal Runge-Kutta steps. In the mode `adjoint` no
graph of the steps is kept: gradients come from backward equations.

The times can be trained: `t_0` is fixed, `t_1 .. t_K` are the parameter `ends`. Where the number of
steps is given, it stays and their length moves with the times; where their greatest length is
given, their number follows the times.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ocngame._checks import integer, positive
from ocngame.errors import InvalidInputError
from ocngame.games.continuous.adjoint import Adjoint
from ocngame.games.continuous.adjoint_block import AdjointSolver
from ocngame.games.continuous.integrate import VectorField, integrate_interval
from ocngame.games.continuous.tableau import tableau

__all__ = ["ROUNDING", "NeuralODE"]

ROUNDING = 1e-5  # parts of a step that times in single precision may be off


class NeuralODE(nn.Module):
    """Integrates a field from the first of several times to the last.

    Attributes:
        field: F.
        step: Greatest length of a step, None where the number of steps is given.
        evaluations: Number of evaluations of the field in the last call.
        total_evaluations: Number of evaluations since the block was made; in the mode `adjoint`
            with those of the backward equations.
        adjoint: Solves in the mode `adjoint`; None in the other.
    """

    def __init__(
        self,
        field: nn.Module | VectorField,
        *,
        times: Sequence[float] = (0.0, 1.0),
        steps: int | None = None,
        step: float | None = None,
        method: str = "rk4",
        every: bool = False,
        learn_times: bool = False,
        mode: str | Adjoint = "discretise",
    ):
        """Make the block.

        Args:
            field: F, called as (t, x) with a scalar t; x is a tensor with the samples first, or a
                tuple of such. A module's layers are controls of the game.
            times: t_0 .. t_K, rising or falling.
            steps: Steps in every interval; 4 if neither is given.
            step: Greatest length of a step, in place of `steps`.
            method: "euler", "midpoint", "heun", "rk4" or "rk4_38".
            every: Whether the output has the states at all times, shape (B, K + 1, ...), instead
                of the last one.
            learn_times: Whether t_1 .. t_K are parameters.
            mode: "discretise" (the steps are differentiated as they are), "adjoint" (backward
                equations by the same steps), or an `Adjoint` with settings, among them adaptive
                steps.

        Raises:
            InvalidInputError: if an argument is out of range.
        """
        super().__init__()
        if not callable(field):
            raise InvalidInputError(f"field: expected a function of (t, x), got {field!r}")
        points = _checked("times", times)
        if steps is not None and step is not None:
            raise InvalidInputError(f"step: expected None beside steps={steps}, got {step!r}")
        if steps is not None:
            integer("steps", steps, low=1)
        if step is not None:
            positive("step", step)
        self.field = field
        self.method = tableau(method)
        self.every = bool(every)
        self.step = step
        self._fixed = 4 if steps is None and step is None else steps
        self._times = points
        self.ends = nn.Parameter(torch.tensor(points[1:])) if learn_times else None
        self._last: tuple[Tensor, list[int]] = self.times.detach(), self.steps
        self.evaluations = 0
        self.total_evaluations = 0
        self.adjoint = None if mode == "discretise" else AdjointSolver(self, mode)

    @property
    def times(self) -> Tensor:
        """t_0 .. t_K, shape (K + 1,)."""
        if self.ends is None:
            return torch.tensor(self._times, dtype=torch.float64)
        return torch.cat([self.ends.new_tensor(self._times[:1]), self.ends])

    @property
    def steps(self) -> list[int]:
        """Number of steps of each interval between the block's own times."""
        learned = self.ends is not None and self.step is not None
        return self._count(self.times.tolist() if learned else self._times)

    def forward(self, x: Any, times: Sequence[float] | Tensor | None = None) -> Any:
        """Integrate.

        Args:
            x: State at the first time, shape (B, ...), or a tuple of states.
            times: Times of this call; None for those of the block. Where they are a tensor that
                requires gradients, the output depends on them.

        Returns:
            The state at the last time, shape (B, ...); with `every` the states at all times, shape
            (B, K + 1, ...). A tuple if the state is one.
        """
        if times is None:
            points, counts = self.times, self.steps
        else:
            counts = self._count(_checked("times", times))
            points = torch.as_tensor(times)
        self._last = points.detach(), counts
        like = x[0] if isinstance(x, tuple) else x
        if isinstance(like, Tensor):
            points = points.to(like)
        if self.adjoint is not None:
            return self.adjoint(x, points, self._last[0].tolist(), counts)
        states: list[Any] = [x]
        for i, count in enumerate(counts):
            x = integrate_interval(self.field, x, points[i], points[i + 1], count, self.method)
            states.append(x)
        self.evaluations = sum(counts) * self.method.evaluations
        self.total_evaluations += self.evaluations
        if not self.every:
            return x
        if isinstance(x, tuple):
            return tuple(torch.stack(parts, 1) for parts in zip(*states, strict=True))
        return torch.stack(states, 1)

    def weights(self) -> list[float]:
        """Give the length of time that each evaluation of the last call stands for.

        Returns:
            `|h| b_i` for stage i of every step, in the order of the evaluations.
        """
        points, counts = self._last
        ends = points.detach().tolist()
        lengths = [abs(b - a) / n for a, b, n in zip(ends, ends[1:], counts, strict=False)]
        return [h * b for h, n in zip(lengths, counts, strict=True) for b in self.method.b * n]

    def _count(self, points: Sequence[float]) -> list[int]:
        """Give the number of steps of every interval."""
        if self._fixed is not None:
            return [self._fixed] * (len(points) - 1)
        assert self.step is not None  # noqa: S101 - one of the two is given
        lengths = [abs(b - a) for a, b in itertools.pairwise(points)]
        return [max(1, math.ceil(length / self.step - ROUNDING)) for length in lengths]

    def extra_repr(self) -> str:
        """Name the method, the times and the steps."""
        times = ", ".join(f"{t:g}" for t in self.times.tolist())
        how = f"method={self.method.name}, times=({times}), steps={self.steps}"
        return how if self.adjoint is None else f"{how}, {self.adjoint.rule}"


def _checked(name: str, times: Sequence[float] | Tensor) -> list[float]:
    """Give times as numbers, which must be finite and all rise or all fall."""
    values = times.tolist() if isinstance(times, Tensor) else list(times)
    good = len(values) > 1 and all(isinstance(t, int | float) and math.isfinite(t) for t in values)
    gaps = [b - a for a, b in itertools.pairwise(values)] if good else []
    if not good or not (all(g > 0 for g in gaps) or all(g < 0 for g in gaps)):
        raise InvalidInputError(
            f"{name}: expected at least two finite times that all rise or all fall, got {values}"
        )
    return [float(t) for t in values]
