"""Who owns which part of the joint control."""

from collections.abc import Sequence
from itertools import accumulate

from ocngame.errors import InvalidInputError

__all__ = ["check_slices", "slices_of"]


def slices_of(sizes: Sequence[int]) -> tuple[slice, ...]:
    """Give consecutive slices of the joint control for the players' control sizes.

    Args:
        sizes: Control size of each player.

    Returns:
        One slice per player, covering `range(sum(sizes))`.
    """
    stops = accumulate(sizes)
    return tuple(slice(stop - size, stop) for stop, size in zip(stops, sizes, strict=True))


def check_slices(slices: Sequence[slice], size: int) -> tuple[slice, ...]:
    """Require that every control has exactly one owner and every player a control.

    Args:
        slices: Each player's slice of the joint control.
        size: Size m of the joint control.

    Returns:
        The slices, each with its start.

    Raises:
        InvalidInputError: naming the player or the control at fault.
    """
    if not slices:
        raise InvalidInputError("control_slices: expected a slice for at least one player, got ()")
    owners: dict[int, int] = {}
    for player, block in enumerate(slices):
        start, stop = block.start or 0, size + 1 if block.stop is None else block.stop
        plain = block.step in {None, 1} and start >= 0
        if not plain or stop > size:
            raise InvalidInputError(
                f"control_slices: expected slices within 0:{size} of step 1, "
                f"got {block} for player {player}"
            )
        if start >= stop:
            raise InvalidInputError(
                "control_slices: expected every player to own a control, "
                f"got the empty {block} for player {player}"
            )
        for control in range(start, stop):
            if owners.setdefault(control, player) != player:
                raise InvalidInputError(
                    "control_slices: expected slices that do not overlap, got control "
                    f"{control} owned by the players {owners[control]} and {player}"
                )
    missing = [control for control in range(size) if control not in owners]
    if missing:
        raise InvalidInputError(
            f"control_slices: expected slices that cover all {size} controls, "
            f"got no owner for control {missing[0]}"
        )
    return tuple(slice(block.start or 0, block.stop) for block in slices)
