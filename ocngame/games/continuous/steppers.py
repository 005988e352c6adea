r"""How an equation `y' = G(t, y)` is carried from one time to the next, where no graph is kept.

`EvenSteps` makes equal Runge-Kutta steps. `AdaptiveSteps` lets torchdiffeq choose its steps by an
estimate of their error: a step is taken where `|error| <= atol + rtol |y|` in the mean square.
What goes wrong (a state that is not finite, a step that falls below the spacing of numbers, more
steps than allowed) is an `IntegrationError`, for either.
"""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ocngame._checks import in_range, integer, one_of, positive
from ocngame.errors import IntegrationError, InvalidInputError
from ocngame.games.continuous.integrate import integrate_interval
from ocngame.games.continuous.tableau import Tableau

__all__ = ["Adaptive", "AdaptiveSteps", "EvenSteps", "Parts", "Stepper", "solver_errors"]

Parts = tuple[Tensor, ...]
"""A state as several tensors."""

_EPSILON = 2.0**-52


@dataclass(frozen=True, kw_only=True)
class Adaptive:
    """Steps whose length follows from an estimate of their error.

    Attributes:
        method: Embedded method of torchdiffeq.
        rtol: Tolerance relative to the state.
        atol: Absolute tolerance.
        most_steps: Most steps between two times; an equation that needs more counts as stiff.
    """

    method: Literal["dopri5", "bosh3", "fehlberg2", "adaptive_heun", "dopri8"] = "dopri5"
    rtol: float = 1e-5
    atol: float = 1e-6
    most_steps: int = 10_000

    def __post_init__(self) -> None:
        """Validate the settings."""
        known = get_args(type(self).__annotations__["method"])
        one_of("method", self.method, known)
        in_range("rtol", self.rtol, low=_EPSILON, high=1.0, high_open=True)
        positive("atol", self.atol)
        integer("most_steps", self.most_steps, low=1)


class Stepper(ABC):
    """Carries a state along a sequence of times."""

    @abstractmethod
    def carry(
        self, slope: Callable[[Tensor, Any], Any], y: Parts, times: Sequence[float], k: int
    ) -> list[Parts]:
        """Solve.

        Args:
            slope: G(t, y), with t a scalar tensor.
            y: State at the first time.
            times: Times that all rise or all fall, within interval k of the block.
            k: Number of the interval, from 0.

        Returns:
            The states at the times after the first.
        """

    @abstractmethod
    def stops(self, start: float, end: float, k: int, count: int) -> list[float]:
        """Choose times within an interval at which states are kept.

        Args:
            start: Its start.
            end: Its end.
            k: Its number, from 0.
            count: Number of parts that they part it in, at most.

        Returns:
            The times, both ends left out.
        """


@dataclass(frozen=True)
class EvenSteps(Stepper):
    """Equal steps: where a time falls between two, the steps around it are shortened.

    Attributes:
        method: Runge-Kutta method.
        counts: Steps of every interval.
        ends: Times at which the intervals end; one more than intervals.
    """

    method: Tableau
    counts: Sequence[int]
    ends: Sequence[float]

    def carry(
        self, slope: Callable[[Tensor, Any], Any], y: Parts, times: Sequence[float], k: int
    ) -> list[Parts]:
        """Make the steps; states that are not finite raise `IntegrationError`."""
        longest = abs(self.ends[k + 1] - self.ends[k]) / self.counts[k]
        states = []
        for a, b in itertools.pairwise(times):
            start, end = (y[0].new_tensor(t) for t in (a, b))
            count = max(1, math.ceil(abs(b - a) / longest - 1e-6))
            y = integrate_interval(slope, y, start, end, count, self.method)
            states.append(y)
        check_finite(y, times[0], times[-1])
        return states

    def stops(self, start: float, end: float, k: int, count: int) -> list[float]:
        """Choose ends of steps, so that the steps stay as they are."""
        steps = self.counts[k]
        count = min(count, steps)
        places = [round(i * steps / count) for i in range(1, count)]
        return [start + (end - start) * place / steps for place in places]


@dataclass(frozen=True)
class AdaptiveSteps(Stepper):
    """Steps of torchdiffeq.

    Attributes:
        method: Its name of the method.
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        options: Further options of the method.
        parted: Whether every time is the end of a solve of its own: solvers with even steps of
            torchdiffeq interpolate linearly between these.
    """

    method: str
    rtol: Any
    atol: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    parted: bool = False

    @classmethod
    def of(cls, rule: Adaptive) -> "AdaptiveSteps":
        """Take settings.

        Args:
            rule: The settings.

        Returns:
            The stepper.

        Raises:
            InvalidInputError: if torchdiffeq is not installed.
        """
        try:
            import_module("torchdiffeq")
        except ImportError as error:
            raise InvalidInputError(
                "adaptive: expected the package torchdiffeq, which is not installed; "
                'pip install "ocngame[ode]" brings it'
            ) from error
        return cls(rule.method, rule.rtol, rule.atol, {"max_num_steps": rule.most_steps})

    def carry(
        self, slope: Callable[[Tensor, Any], Any], y: Parts, times: Sequence[float], k: int
    ) -> list[Parts]:
        """Let torchdiffeq solve; its refusals become `IntegrationError`."""
        del k
        if self.parted and len(times) > 2:
            states = []
            for a, b in itertools.pairwise(times):
                states += self._solved(slope, y if not states else states[-1], (a, b))
            return states
        return self._solved(slope, y, times)

    def stops(self, start: float, end: float, k: int, count: int) -> list[float]:
        """Choose times at equal distances."""
        return [start + (end - start) * i / count for i in range(1, count)]

    def _solved(
        self, slope: Callable[[Tensor, Any], Any], y: Parts, times: Sequence[float]
    ) -> list[Parts]:
        solve = import_module("torchdiffeq").odeint
        points = torch.tensor(times, dtype=torch.float64, device=y[0].device)
        options = dict(self.options)
        with solver_errors():
            found = solve(
                slope,
                y,
                points.to(y[0].dtype),
                rtol=self.rtol,
                atol=self.atol,
                method=self.method,
                options=options,
            )
        states = [tuple(part[i] for part in found) for i in range(1, len(times))]
        check_finite(states[-1], times[0], times[-1])
        return states


def check_finite(y: Parts, start: float, end: float) -> None:
    """Require a state that is finite.

    Args:
        y: The state.
        start: Where its solve began.
        end: Where it ended.

    Raises:
        IntegrationError: if it has NaN or infinity.
    """
    total = torch.stack([part.sum().double() for part in y]).sum()
    if not bool(torch.isfinite(total)):
        raise IntegrationError(
            f"field: expected a state that stays finite, got NaN or infinity between t={start:g} "
            f"and t={end:g}; the equation explodes or its steps are too long"
        )


@contextmanager
def solver_errors() -> Iterator[None]:
    """Turn the assertions of torchdiffeq on the way of a solve into `IntegrationError`.

    Yields:
        Nothing.

    Raises:
        IntegrationError: where a solve cannot go on.
        AssertionError: where one failed that is not the solver's.
    """
    try:
        yield
    except AssertionError as error:
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        name = "" if frame is None else frame.tb_frame.f_globals.get("__name__", "")
        if not name.startswith("torchdiffeq"):
            raise
        raise IntegrationError(f"field: {_reason(str(error))}") from error


def _reason(text: str) -> str:
    if text.startswith("underflow"):
        return (
            "expected an equation that steps of some length can follow, got steps below the "
            "spacing of numbers; it is stiff or explodes, or the tolerances are too small"
        )
    if text.startswith("non-finite"):
        return "expected a state that stays finite, got NaN or infinity within a solve"
    if text.startswith("max_num_steps"):
        return f"expected fewer steps between two times, got the limit ({text}); it may be stiff"
    return f"torchdiffeq refused the solve: {text}"
