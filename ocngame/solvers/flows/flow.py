r"""Continuous normalizing flows: densities by an ordinary differential equation.

A point x of the data moves by `z' = F(t, z)` from t = 0 to T and is judged by a standard normal
there (Chen et al., arXiv 1806.07366, theorem 1; Grathwohl et al., arXiv 1810.01367):

    log p(x) = log N(z(T); 0, I) + int_0^T tr F_x(t, z(t)) dt.

The state that is solved for is `(z, a, k, j)` of size d + 3 with `a' = tr F_x`, and the two running
costs of RNODE (Finlay et al., arXiv 2002.02798), `k' = |F|^2` and `j' = |F_x|_F^2`, per dimension
of the data. The loss of a batch is the mean of

    |z(T)|^2 / 2 + (d/2) log 2 pi - a(T) + kinetic * k(T) + jacobian * j(T),

linear in a, k and j. Sampling draws z(T) from the normal and solves back to t = 0.

For OCNOpt the output Hessian of this loss is the identity on z and zero elsewhere, which says
nothing of what the weights do through the trace. `FlowHessian` gives instead one column per sample,
the gradient `(z, -1, kinetic, jacobian)` of the loss in the output: the outer products of the
samples' whole gradients, the empirical Fisher matrix of the density (rank-one start of arXiv
2002.08809). As `F = (1/B) sum g g' >= m m'` for their mean m, no damped step promises more than
`m' F^{-1} m <= 1`. Where F is of earlier batches and the newest has greater gradients, it would.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ocngame._checks import integer, non_negative, positive
from ocngame.curvature import OutputHessian
from ocngame.errors import InvalidInputError
from ocngame.games.continuous import NeuralODE
from ocngame.games.twins import Traced
from ocngame.solvers.flows.divergence import Divergence, ExactDivergence
from ocngame.solvers.flows.field import TangentField

__all__ = ["ContinuousFlow", "FlowDynamics", "FlowHessian", "FlowLoss"]

_EXTRA = 3


class FlowDynamics(nn.Module):
    """The right-hand side of `(z, a, k, j)`.

    Attributes:
        field: The vector field.
        size: d, number of coordinates.
        directions: Tangents of the solve under way, shape (B, R, d).
        condition: What it is conditioned on, shape (B, c), or None.
    """

    def __init__(self, field: nn.Module, size: int):
        """Keep the field.

        Args:
            field: A `TangentField`.
            size: d, number of coordinates.

        Raises:
            InvalidInputError: if the field cannot push tangents.
        """
        super().__init__()
        if not isinstance(field, TangentField):
            raise InvalidInputError(
                f"field: expected a module with a method with_tangents, got {type(field).__name__}"
            )
        self.field = field
        self.size = size
        self.directions: Traced | None = None
        self.condition: Traced | None = None

    def forward(self, t: Traced, state: Traced) -> Traced:
        """Give the derivative of the state.

        Args:
            t: Time, a scalar.
            state: Shape (B, d + 3).

        Returns:
            Shape (B, d + 3).

        Raises:
            InvalidInputError: if no directions are set.
        """
        if self.directions is None:
            raise InvalidInputError("directions: expected tangents of the solve, got None")
        x = state[:, : self.size]
        value, moved = self.field.with_tangents(t, x, self.directions, self.condition)  # pyright: ignore[reportCallIssue]
        trace = (self.directions * moved).sum((1, 2))
        kinetic = (value * value).sum(1) / self.size
        jacobian = (moved * moved).sum((1, 2)) / self.size
        return torch.cat([value, torch.stack([trace, kinetic, jacobian], 1)], 1)


class ContinuousFlow(nn.Module):
    """A density that is a normal one moved by a vector field."""

    def __init__(
        self,
        field: nn.Module,
        size: int,
        *,
        conditions: int = 0,
        time: float = 1.0,
        divergence: Divergence | None = None,
        steps: int = 8,
        method: str = "rk4",
        block: Callable[[nn.Module], nn.Module] | None = None,
        seed: int = 0,
    ):
        """Keep the parts.

        Args:
            field: A `TangentField`, such as `FlowField`.
            size: d, number of coordinates.
            conditions: c, number of features that the density is conditioned on.
            time: T.
            divergence: Rule for the trace; exact if None.
            steps: Even steps of the solver.
            method: Rule of a step, see `NeuralODE`.
            block: Makes from the right-hand side the module that solves it from 0 to T, if that is
                not `NeuralODE`.
            seed: Seed of random directions where no generator is given.
        """
        super().__init__()
        integer("size", size, low=1)
        integer("conditions", conditions, low=0)
        positive("time", time)
        self.size = size
        self.conditions = conditions
        self.time = time
        self.divergence = divergence if divergence is not None else ExactDivergence()
        self.dynamics = FlowDynamics(field, size)
        self._solver = {"steps": steps, "method": method}
        solved = NeuralODE(self.dynamics, times=(0.0, time), **self._solver)
        self.block = solved if block is None else block(self.dynamics)
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, x: Traced) -> Traced:
        """Carry points of the data to time T, with random directions from the flow's own generator.

        Args:
            x: Points, followed by what each is conditioned on, shape (B, d + c).

        Returns:
            The end state `(z, a, k, j)`, shape (B, d + 3).
        """
        condition = x[:, self.size :] if self.conditions else None
        return self._solve(x[:, : self.size], condition, self.generator)

    def log_prob(
        self, x: Tensor, condition: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Give the log density of points.

        Args:
            x: Points, shape (B, d).
            condition: What the density is conditioned on, shape (B, c), or None if c is 0.
            generator: Source of random directions; the flow's own if None.

        Returns:
            Shape (B,).

        Raises:
            InvalidInputError: if the points have another shape.
        """
        if x.ndim != 2 or x.shape[1] != self.size:
            raise InvalidInputError(
                f"x: expected shape (samples, {self.size}), got {tuple(x.shape)}"
            )
        self._check(condition, len(x))
        end = self._solve(x, condition, self.generator if generator is None else generator)
        z = end[:, : self.size]
        normal = -0.5 * (z * z).sum(1) - 0.5 * self.size * math.log(2 * math.pi)
        return normal + end[:, self.size]

    def sample(
        self, count: int, generator: torch.Generator, condition: Tensor | None = None
    ) -> Tensor:
        """Draw points.

        Args:
            count: B.
            generator: Source of the normal numbers.
            condition: What the density is conditioned on, shape (B, c), or None if c is 0.

        Returns:
            Shape (B, d).
        """
        return self.path(count, generator, (0.0,), condition)[0]

    def path(
        self,
        count: int,
        generator: torch.Generator,
        times: Sequence[float],
        condition: Tensor | None = None,
    ) -> Tensor:
        """Draw points and follow them back from time T.

        Args:
            count: B.
            generator: Source of the normal numbers.
            times: Decreasing times in [0, T] to report.
            condition: What the density is conditioned on, shape (B, c), or None if c is 0.

        Returns:
            Points at these times, shape (times, B, d).

        Raises:
            InvalidInputError: if the times do not decrease within [0, T].
        """
        self._check(condition, count)
        steps = zip((self.time, *times), times, strict=False)
        if not times or any(not 0 <= b <= a for a, b in steps):
            raise InvalidInputError(
                f"times: expected decreasing times in [0, {self.time:g}], got {list(times)}"
            )
        like = next(self.dynamics.parameters())
        x = torch.randn(count, self.size, generator=generator).to(like)
        plain = _Plain(self.dynamics.field, condition)
        found, before = [], self.time
        with torch.no_grad():
            for now in times:
                if now < before:
                    x = NeuralODE(plain, times=(before, now), **self._solver)(x)
                before = now
                found.append(x)
        return torch.stack(found)

    def _solve(self, x: Traced, condition: Traced | None, generator: torch.Generator) -> Traced:
        self.dynamics.directions = self.divergence.directions(x, generator)
        self.dynamics.condition = condition
        return self.block(torch.cat([x, *[torch.zeros_like(x[:, :1])] * _EXTRA], 1))

    def _check(self, condition: Tensor | None, count: int) -> None:
        shape = None if condition is None else tuple(condition.shape)
        if shape != ((count, self.conditions) if self.conditions else None):
            raise InvalidInputError(
                f"condition: expected {self.conditions} features for each of {count} samples, got "
                f"{'none' if shape is None else f'shape {shape}'}"
            )


class _Plain(nn.Module):
    def __init__(self, field: nn.Module, condition: Tensor | None):
        super().__init__()
        self.field = field
        self.condition = condition

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return self.field(t, x, self.condition)


class FlowLoss(nn.Module):
    """Mean negative log likelihood of a flow's end states, with running costs."""

    def __init__(self, *, kinetic: float = 0.0, jacobian: float = 0.0):
        """Keep the weights.

        Args:
            kinetic: Weight of `int |F|^2 dt / d`.
            jacobian: Weight of `int |F_x|_F^2 dt / d`.
        """
        super().__init__()
        non_negative("kinetic", kinetic)
        non_negative("jacobian", jacobian)
        self.kinetic, self.jacobian = kinetic, jacobian

    def forward(self, end: Tensor, target: Tensor | None = None) -> Tensor:
        """Give the loss of end states.

        Args:
            end: What `ContinuousFlow` gives, shape (B, d + 3).
            target: Not read: a density has none.

        Returns:
            A scalar.
        """
        del target
        size = end.shape[-1] - _EXTRA
        z, (trace, kinetic, jacobian) = end[:, :size], end[:, size:].unbind(1)
        normal = 0.5 * (z * z).sum(1) + 0.5 * size * math.log(2 * math.pi)
        return (normal - trace + self.kinetic * kinetic + self.jacobian * jacobian).mean()


@dataclass(frozen=True)
class FlowHessian(OutputHessian):
    """The gradient of a flow's loss in its end state, as one column per sample.

    Attributes:
        kinetic: Weight of the kinetic cost.
        jacobian: Weight of the Jacobian cost.
    """

    most_promise: ClassVar[float | None] = 1.0
    of_gradient: ClassVar[bool] = True

    kinetic: float = 0.0
    jacobian: float = 0.0

    def root(self, output: Tensor, right: Tensor) -> Tensor:
        """Multiply `E = diag(z, -1, kinetic, jacobian)` with vectors of equal entries.

        Args:
            output: End states, shape (B, d + 3).
            right: Shape (R, B, d + 3); the sign of a sample's first entry is that of its column.

        Returns:
            Shape (R, B, d + 3).
        """
        size = output.shape[-1] - _EXTRA
        ends = output.new_tensor([-1.0, self.kinetic, self.jacobian]).expand(len(output), _EXTRA)
        gradient = torch.cat([output.detach()[:, :size], ends], 1)
        return gradient * right[..., :1]
