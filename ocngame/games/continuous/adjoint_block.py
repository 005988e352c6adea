"""A block in the mode `adjoint`, and the solves that it is heard making."""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.func import functional_call

from ocngame.errors import InvalidInputError
from ocngame.games.continuous.adjoint import Adjoint, AdjointProblem, solve_adjoint
from ocngame.games.continuous.steppers import AdaptiveSteps, EvenSteps, Parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocngame.games.continuous.block import NeuralODE

__all__ = ["AdjointSolver", "Solved"]


@dataclass(frozen=True)
class Solved:
    """A solve whose result is in the graph of a recorded pass.

    Attributes:
        problem: The equation.
        states: States at t_0 .. t_K, shape (K + 1, B, ...) for each part, in the graph.
    """

    problem: AdjointProblem
    states: Parts


class AdjointSolver:
    """Solves for a block.

    Attributes:
        rule: Settings.
        hearers: Are told of every solve whose result has a graph.
    """

    def __init__(self, block: "NeuralODE", mode: str | Adjoint):
        """Keep the block.

        Args:
            block: The block.
            mode: "adjoint" or settings.

        Raises:
            InvalidInputError: if it is neither, or the field is no module.
        """
        rule = Adjoint() if mode == "adjoint" else mode
        if not isinstance(rule, Adjoint):
            raise InvalidInputError(
                f"mode: expected 'discretise', 'adjoint' or an Adjoint, got {mode!r}"
            )
        if not isinstance(block.field, nn.Module):
            raise InvalidInputError(
                "field: expected a module in the mode 'adjoint', which must know its parameters, "
                f"got {block.field!r}"
            )
        self.rule = rule
        self.hearers: list[Callable[[Solved], None]] = []
        self._block = block

    def __call__(self, x: Any, points: Tensor, ends: list[float], counts: Sequence[int]) -> Any:
        """Integrate.

        Args:
            x: State at the first time.
            points: Times as a tensor of the state's kind, perhaps with a graph.
            ends: Times as numbers.
            counts: Even steps of every interval.

        Returns:
            What the block gives.
        """
        block, tupled = self._block, isinstance(x, tuple)
        start: Parts = x if tupled else (x,)
        adaptive = self.rule.adaptive
        field: Any = block.field
        before = block.total_evaluations
        named = dict(field.named_parameters())

        def slope(t: Tensor, state: Any) -> Any:
            block.total_evaluations += 1
            # A functional call lends the field other tensors for the solve, not for the way back.
            now = field.named_parameters()
            if all(p is named[name] for name, p in now):
                return field(t, state)
            return functional_call(field, named, (t, state))

        problem = AdjointProblem(
            slope,
            [p for p in named.values() if p.requires_grad],
            ends,
            EvenSteps(block.method, counts, ends)
            if adaptive is None
            else AdaptiveSteps.of(adaptive),
            tupled,
            self.rule,
            field,
        )
        states = solve_adjoint(problem, start, points)
        block.evaluations = block.total_evaluations - before
        if states[0].requires_grad:
            for hear in self.hearers:
                hear(Solved(problem, states))
        found = tuple(s.transpose(0, 1) if block.every else s[-1] for s in states)
        return found if tupled else found[0]

    @contextmanager
    def heard(self, hear: Callable[[Solved], None]) -> "Iterator[None]":
        """Be told of solves for a while.

        Args:
            hear: Is called with every solve whose result has a graph.

        Yields:
            Nothing.
        """
        self.hearers.append(hear)
        try:
            yield
        finally:
            self.hearers.remove(hear)
