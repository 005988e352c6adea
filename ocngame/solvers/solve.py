"""One entry point: what kind of game it is decides who solves it."""

from typing import overload

from torch import Tensor

from ocngame.bellman import AffinePolicy
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, LQGame, NonlinearGame
from ocngame.solvers.lq import ExistenceRule, Solution
from ocngame.solvers.lq import solve as solve_lq
from ocngame.solvers.nonlinear import (
    IterationOptions,
    NonlinearSolution,
    Start,
    attach_gradient,
    solve_nonlinear,
)
from ocngame.solvers.nonlinear.implicit import wants_gradient

__all__ = ["solve"]


@overload
def solve(
    game: LQGame,
    *,
    information: InformationStructure | str = ...,
    x0: Tensor | None = ...,
    weights: Tensor | None = ...,
    leader: int | None = ...,
    existence: ExistenceRule | None = ...,
    raise_on_failure: bool = ...,
) -> Solution: ...


@overload
def solve(
    game: NonlinearGame,
    *,
    information: InformationStructure | str = ...,
    x0: Tensor,
    weights: Tensor | None = ...,
    existence: ExistenceRule | None = ...,
    raise_on_failure: bool = ...,
    initial: Tensor | AffinePolicy | NonlinearSolution | Start | None = ...,
    options: IterationOptions | None = ...,
) -> NonlinearSolution: ...


def solve(
    game: LQGame | NonlinearGame,
    *,
    information: InformationStructure | str = InformationStructure.FEEDBACK,
    x0: Tensor | None = None,
    weights: Tensor | None = None,
    leader: int | None = None,
    existence: ExistenceRule | None = None,
    raise_on_failure: bool = True,
    initial: Tensor | AffinePolicy | NonlinearSolution | Start | None = None,
    options: IterationOptions | None = None,
) -> Solution | NonlinearSolution:
    """Solve a game under an information structure.

    A linear-quadratic game is solved exactly (`ocngame.solvers.lq.solve`), a nonlinear one by
    iteration from a start (`ocngame.solvers.nonlinear.solve_nonlinear`). Gradients flow through the
    solution to x0 and to the pieces of a linear-quadratic game, or to whatever the functions of a
    nonlinear game close over (`ocngame.solvers.nonlinear.attach_gradient`).

    Args:
        game: The game.
        information: The information structure or its name.
        x0: Initial states, shape (..., n); a nonlinear game needs them.
        weights: Weights of the players' costs, for cooperative play only.
        leader: Index of the player that moves first, for Stackelberg play of a linear-quadratic
            game only.
        existence: How far from the border of existence counts as existing.
        raise_on_failure: Whether a batch element without a solution raises.
        initial: For a nonlinear game, first controls (..., T, m), policies, an earlier solution or
            its `shifted()`; zero controls if None.
        options: For a nonlinear game, tolerances and limits of the iteration.

    Returns:
        A `Solution` or a `NonlinearSolution`, with a status per batch element.

    Raises:
        InvalidInputError: naming the argument that does not fit the game.

    Examples:
        >>> import torch
        >>> import ocngame as og
        >>> def move(x, u, t):
        ...     return x + 0.1 * torch.stack([x[1], u.sum() - torch.sin(x[0])])
        >>> game = og.NonlinearGame(
        ...     dynamics=move,
        ...     running_costs=[lambda x, u, t: u[0] ** 2, lambda x, u, t: u[1] ** 2],
        ...     terminal_costs=[lambda x: 9 * (x[0] - 1) ** 2, lambda x: 9 * x @ x],
        ...     control_slices=[slice(0, 1), slice(1, 2)],
        ...     state_size=2,
        ...     horizon=20,
        ... )
        >>> solution = og.solve(game, information="feedback", x0=torch.ones(2).double())
        >>> solution.status.name
        'LOCALLY_SOLVED'
        >>> bool(solution.residual < 1e-8)
        True
    """
    if isinstance(game, NonlinearGame):
        if x0 is None:
            raise InvalidInputError("x0: expected an initial state for a nonlinear game, got None")
        if leader is not None:
            raise InvalidInputError(f"leader: expected None for a nonlinear game, got {leader}")
        solution = solve_nonlinear(
            game,
            information=information,
            x0=x0,
            initial=initial,
            weights=weights,
            options=options,
            existence=existence,
            raise_on_failure=raise_on_failure,
        )
        if wants_gradient(game, x0, weights):
            return attach_gradient(game, solution, x0, options=options)
        return solution
    for name, given in (("initial", initial), ("options", options)):
        if given is not None:
            raise InvalidInputError(
                f"{name}: expected None for a linear-quadratic game, which is solved exactly"
            )
    return solve_lq(
        game,
        information=information,
        x0=x0,
        weights=weights,
        leader=leader,
        existence=existence,
        raise_on_failure=raise_on_failure,
    )
