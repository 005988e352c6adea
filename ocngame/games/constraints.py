r"""Inequality constraints of nonlinear games: `h(x, u, t) <= 0`, entry by entry.

A constraint belongs to one player (a bound on its own control) or is shared by several (a distance
between two vehicles). Sharing players carry the same multiplier: of the many generalised Nash
equilibria this picks the variational (normalised) ones, in which nobody values the shared
constraint more than the others do (Rosen, 1965; Facchinei & Kanzow, 2010).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import positive
from ocngame.errors import InvalidInputError

__all__ = ["Constraint", "control_bounds", "keep_apart", "stay_inside"]


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """Entries of `h <= 0` and who carries their multipliers.

    Attributes:
        function: `h(x, u, t)`, from vectors (n,), (m,) and a scalar stage to a vector (C,); for a
            terminal constraint `h(x)`.
        players: The players whose problem the constraint belongs to.
        terminal: Whether it holds at the last state instead of at every stage.
    """

    function: Callable[..., Tensor]
    players: tuple[int, ...]
    terminal: bool = False

    def __post_init__(self) -> None:
        """Require at least one player, each once.

        Raises:
            InvalidInputError: if there is none, or one comes twice.
        """
        if not self.players or len(set(self.players)) != len(self.players):
            raise InvalidInputError(
                f"players: expected one or more different players, got {self.players}"
            )


def control_bounds(
    player: int, block: slice, low: Sequence[float], high: Sequence[float]
) -> Constraint:
    """Bound a player's own control from below and above.

    Args:
        player: The player.
        block: Its slice of the joint control.
        low: Least value of each of its controls.
        high: Largest value of each of its controls.

    Returns:
        The constraint, with twice as many entries as the player has controls.

    Raises:
        InvalidInputError: if there is not a pair of bounds, low below high, for each control.
    """
    size = block.stop - block.start
    if not len(low) == len(high) == size or any(not a < b for a, b in zip(low, high, strict=False)):
        raise InvalidInputError(
            f"low, high: expected {size} bounds each, low below high, got {low} and {high}"
        )

    def excess(_x: Tensor, u: Tensor, _t: Tensor) -> Tensor:
        own = u[block]
        return torch.cat([own - own.new_tensor(high), own.new_tensor(low) - own])

    return Constraint(function=excess, players=(player,))


def keep_apart(
    players: tuple[int, int], first: slice, second: slice, distance: float
) -> Constraint:
    """Keep two positions in the state at least a distance apart.

    The entry is `distance - |a - b|^2 / distance`, smooth also where the positions meet.

    Args:
        players: The two players who share the constraint.
        first: Slice of the state with one position.
        second: Slice of the state with the other.
        distance: Least distance.

    Returns:
        The shared constraint.
    """
    positive("distance", distance)

    def closeness(x: Tensor, _u: Tensor, _t: Tensor) -> Tensor:
        gap = x[first] - x[second]
        return (distance - (gap * gap).sum() / distance).unsqueeze(0)

    return Constraint(function=closeness, players=players)


def stay_inside(player: int, position: slice, normal: Sequence[float], offset: float) -> Constraint:
    """Keep a position on one side of a wall: `normal' p <= offset`.

    Args:
        player: The player.
        position: Slice of the state with the position.
        normal: Normal of the wall, pointing out of the allowed side.
        offset: The wall's offset.

    Returns:
        The constraint.

    Raises:
        InvalidInputError: if the normal has another size than the position.
    """
    if len(normal) != position.stop - position.start:
        raise InvalidInputError(
            f"normal: expected {position.stop - position.start} numbers, got {normal}"
        )

    def beyond(x: Tensor, _u: Tensor, _t: Tensor) -> Tensor:
        place = x[position]
        return ((place * place.new_tensor(normal)).sum() - offset).unsqueeze(0)

    return Constraint(function=beyond, players=(player,))
