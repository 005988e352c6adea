"""What a ready game comes with: where to start, and how long to iterate."""

from dataclasses import dataclass

from torch import Tensor

from ocngame.games.nonlinear import NonlinearGame

__all__ = ["ReadyGame"]


@dataclass(frozen=True, kw_only=True)
class ReadyGame:
    """A game with a start from which the solver is known to converge.

    Attributes:
        name: The game's name.
        game: The game.
        x0: Initial state, shape (n,).
        controls: Controls to start from, shape (T, m).
        max_iterations: Enough iterations from there, under each information structure.
        information: Names of the information structures under which it is known to be solved.
        positions: Slices of the state with planar positions, one per body, for pictures.
    """

    name: str
    game: NonlinearGame
    x0: Tensor
    controls: Tensor
    max_iterations: int
    information: tuple[str, ...] = ("feedback", "open_loop", "cooperative")
    positions: tuple[slice, ...] = ()
