"""Nonlinear games have several equilibria: solve from many starts, and list the distinct ones."""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ocngame._checks import integer, non_negative, positive
from ocngame._tensor_checks import shaped
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, NonlinearGame
from ocngame.solvers.lq import ExistenceRule
from ocngame.solvers.nonlinear import IterationOptions, NonlinearSolution, solve_nonlinear

__all__ = ["Equilibria", "find_equilibria", "scattered"]


@dataclass(frozen=True, kw_only=True)
class Equilibria:
    """The distinct equilibria that were found, E of them, from S starts.

    Attributes:
        solution: Them, as one batch (E,), in the order of the first start that led to each: their
            costs, residuals and certificates are the solution's.
        found_from: Which equilibrium each start led to, -1 where none, shape (S,).
        attempts: Where every start led, batch (S,), with the status of each.
    """

    solution: NonlinearSolution
    found_from: Tensor
    attempts: NonlinearSolution

    def __len__(self) -> int:
        """Give the number of distinct equilibria."""
        return len(self.solution.codes)

    @property
    def counts(self) -> Tensor:
        """Number of starts that led to each, shape (E,)."""
        return torch.bincount(self.found_from[self.found_from >= 0], minlength=len(self))

    def table(self) -> str:
        """Give a line per equilibrium: starts, costs, residual, least own curvature.

        Returns:
            The lines, with a heading and the number of starts that led nowhere.
        """
        lines = ["equilibrium  starts  residual  least curvature  costs"]
        least = self.solution.certificate.own_curvature.flatten(1).amin(-1)
        rows = zip(self.counts, self.solution.residual, least, self.solution.costs, strict=True)
        for k, (count, residual, curvature, costs) in enumerate(rows):
            each = "  ".join(f"{cost:.6g}" for cost in costs.tolist())
            shown = f"{float(residual):8.1e}  {float(curvature):15.3g}  {each}"
            lines.append(f"{k:11d}  {int(count):6d}  {shown}")
        lost = int((self.found_from < 0).sum())
        return "\n".join([*lines, f"{lost} of {len(self.found_from)} starts led to no equilibrium"])


def scattered(
    controls: Tensor,
    count: int,
    *,
    spread: float | Tensor,
    generator: torch.Generator,
    pieces: int = 2,
) -> Tensor:
    """Scatter starts about a control sequence: each control is moved by a step function of time.

    Steps that last make players act differently (one goes first, the other waits), which noise that
    changes from stage to stage would average out.

    Args:
        controls: A control sequence, shape (T, m).
        count: Number of starts.
        spread: Standard deviation of the steps, a number or one per control of shape (m,).
        generator: Source of the steps.
        pieces: Number of steps over the horizon.

    Returns:
        The starts, the first of them the sequence itself, shape (count, T, m).
    """
    shaped("controls", controls, "T m")
    integer("count", count, low=1)
    integer("pieces", pieces, low=1)
    if not isinstance(spread, Tensor):
        non_negative("spread", spread)
    T, m = controls.shape
    steps = torch.randn(count, pieces, m, generator=generator, dtype=controls.dtype)
    piece = torch.arange(T) * pieces // T
    moves = (steps * spread)[:, piece].to(controls.device)
    moves[0] = 0
    return controls + moves


@torch.no_grad()
def find_equilibria(
    game: NonlinearGame,
    *,
    x0: Tensor,
    starts: Tensor,
    information: InformationStructure | str = InformationStructure.FEEDBACK,
    weights: Tensor | None = None,
    options: IterationOptions | None = None,
    existence: ExistenceRule | None = None,
    same: float = 1e-5,
) -> Equilibria:
    """Solve a game from many starts as one batch, and merge the solutions that are equal.

    The list is what was found, not a proof that there are no others. Equilibria are isolated where
    their certificates hold, so equal solutions agree far better than `same`.

    Args:
        game: The game.
        x0: The initial state, shape (n,).
        starts: Control sequences to start from, shape (S, T, m); see `scattered`.
        information: Feedback, open loop or cooperative, or its name.
        weights: Weights of the players' costs, shape (N,), for cooperative play only.
        options: Tolerances and limits.
        existence: How far from the border the second-order condition has to hold.
        same: Largest difference of states, and of controls, relative to the largest one, of
            solutions that count as equal.

    Returns:
        The distinct equilibria; none of them if no start led to one.

    Raises:
        InvalidInputError: naming the argument that does not fit the game.

    Examples:
        Two players share a double well; both ends of it are equilibria.

        >>> import torch
        >>> def cost(i):
        ...     return lambda x, u, t: 0.1 * u[i] ** 2
        >>> game = NonlinearGame(
        ...     dynamics=lambda x, u, t: x + 0.5 * u.sum().reshape(1),
        ...     running_costs=[cost(0), cost(1)],
        ...     terminal_costs=[lambda x: (x[0] ** 2 - 1) ** 2] * 2,
        ...     control_slices=[slice(0, 1), slice(1, 2)],
        ...     state_size=1,
        ...     horizon=4,
        ... )
        >>> x0 = torch.tensor([0.1], dtype=torch.float64)
        >>> starts = torch.tensor([-0.2, 0.1, 0.2]).double().reshape(3, 1, 1).expand(3, 4, 2)
        >>> found = find_equilibria(game, x0=x0, starts=starts)
        >>> len(found), found.found_from.tolist()
        (2, [0, 1, 1])
    """
    shaped("x0", x0, "n", n=game.state_size)
    shaped("starts", starts, "S T m", T=game.horizon, m=game.control_size)
    if not len(starts):
        raise InvalidInputError("starts: expected at least one control sequence, got none")
    positive("same", same)
    attempts = solve_nonlinear(
        game,
        information=information,
        x0=x0,
        initial=starts,
        weights=weights,
        options=options,
        existence=existence,
        raise_on_failure=False,
    )
    found_from = torch.full((len(starts),), -1, dtype=torch.int64, device=starts.device)
    firsts: list[int] = []
    for s in attempts.solved.nonzero().squeeze(-1).tolist():
        known = [k for k, first in enumerate(firsts) if _equal(attempts, first, s, same)]
        if not known:
            firsts.append(s)
        found_from[s] = known[0] if known else len(firsts) - 1
    chosen = torch.tensor(firsts, dtype=torch.int64, device=starts.device)
    return Equilibria(solution=_take(attempts, chosen), found_from=found_from, attempts=attempts)


def _equal(solutions: NonlinearSolution, a: int, b: int, same: float) -> bool:
    for part in (solutions.states, solutions.controls):
        size = part[a].abs().amax()
        if not bool((part[a] - part[b]).abs().amax() <= same * size):
            return False
    return True


def _take(solution: Any, index: Tensor) -> Any:
    """Pick batch elements of a solution and of what it is made of."""
    parts: dict[str, Any] = {}
    for field in fields(solution):
        part = getattr(solution, field.name)
        if is_dataclass(part):
            parts[field.name] = _take(part, index)
        elif isinstance(part, Tensor) and field.name != "weights":
            parts[field.name] = part[index]
    return replace(solution, **parts)
