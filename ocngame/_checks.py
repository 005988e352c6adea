"""Checks of user input: each raises `InvalidInputError` with one sentence."""

import math
from collections.abc import Iterable
from numbers import Integral, Real

from ocngame.errors import InvalidInputError, UnknownNameError

__all__ = [
    "in_range",
    "integer",
    "non_negative",
    "one_of",
    "positive",
]


def _number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def positive(name: str, value: float) -> None:
    """Require a finite number above zero.

    Args:
        name: Argument's name.
        value: Its value.

    Raises:
        InvalidInputError: if it is not.
    """
    if not (_number(value) and math.isfinite(value) and value > 0):
        raise InvalidInputError(f"{name}: expected a finite number above 0, got {value!r}")


def non_negative(name: str, value: float) -> None:
    """Require a finite number of at least zero.

    Args:
        name: Argument's name.
        value: Its value.

    Raises:
        InvalidInputError: if it is not.
    """
    if not (_number(value) and math.isfinite(value) and value >= 0):
        raise InvalidInputError(f"{name}: expected a finite number of at least 0, got {value!r}")


def in_range(
    name: str,
    value: float,
    *,
    low: float,
    high: float,
    low_open: bool = False,
    high_open: bool = False,
) -> None:
    """Require a number within an interval.

    Args:
        name: Argument's name.
        value: Its value.
        low: Lower end.
        high: Upper end.
        low_open: Whether the lower end is excluded.
        high_open: Whether the upper end is excluded.

    Raises:
        InvalidInputError: if it is outside, or not a number.
    """
    inside = (
        _number(value)
        and (value > low if low_open else value >= low)
        and (value < high if high_open else value <= high)
    )
    if not inside:
        interval = f"{'(' if low_open else '['}{low}, {high}{')' if high_open else ']'}"
        raise InvalidInputError(f"{name}: expected a number in {interval}, got {value!r}")


def integer(name: str, value: int, *, low: int) -> None:
    """Require an integer of at least `low`.

    Args:
        name: Argument's name.
        value: Its value.
        low: Least allowed value.

    Raises:
        InvalidInputError: if it is not.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < low:
        raise InvalidInputError(f"{name}: expected an integer of at least {low}, got {value!r}")


def one_of(name: str, value: str, known: Iterable[str]) -> None:
    """Require one of several names.

    Args:
        name: Argument's name.
        value: Its value.
        known: The allowed names.

    Raises:
        UnknownNameError: if it is none of them, with near matches.
    """
    known = list(known)
    if value not in known:
        raise UnknownNameError(name, value, known)
