"""Checks of user input that raise `InvalidInputError` with one clear sentence."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from ocngame.errors import InvalidInputError, UnknownNameError

__all__ = ["finite", "in_range", "integer", "non_negative", "one_of", "positive", "shaped", "symmetric"]


def positive(name: str, value: float) -> None:
    """Require a finite number above zero.

    Args:
        name: Argument's name.
        value: Its value.

    Raises:
        InvalidInputError: if it is not.
    """
    if not (math.isfinite(value) and value > 0):
        raise InvalidInputError(f"{name}: expected a finite number above 0, got {value!r}")


def non_negative(name: str, value: float) -> None:
    """Require a finite number of at least zero.

    Args:
        name: Argument's name.
        value: Its value.

    Raises:
        InvalidInputError: if it is not.
    """
    if not (math.isfinite(value) and value >= 0):
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
        InvalidInputError: if it is outside.
    """
    inside = (value > low if low_open else value >= low) and (
        value < high if high_open else value <= high
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
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
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


def finite(name: str, tensor: Tensor) -> None:
    """Require a tensor without NaN or infinity.

    Args:
        name: Argument's name.
        tensor: Its value.

    Raises:
        InvalidInputError: naming the count and the first position of non-finite entries.
    """
    bad = ~torch.isfinite(tensor)
    if bool(bad.any()):
        first = tuple(int(i) for i in bad.nonzero()[0])
        raise InvalidInputError(
            f"{name}: expected finite numbers, got {int(bad.sum())} non-finite of {tensor.numel()} "
            f"(first at {first})"
        )


def shaped(name: str, tensor: Tensor, **sizes: int) -> None:
    """Require the trailing shape of a tensor.

    Args:
        name: Argument's name.
        tensor: Its value; leading batch dimensions are free.
        **sizes: Names and sizes of the trailing dimensions, in order.

    Raises:
        InvalidInputError: if the trailing dimensions differ.
    """
    wanted = tuple(sizes.values())
    if tuple(tensor.shape[tensor.ndim - len(wanted) :]) != wanted or tensor.ndim < len(wanted):
        names = ", ".join(sizes)
        values = ", ".join(f"{key}={size}" for key, size in sizes.items())
        raise InvalidInputError(
            f"{name}: expected shape (..., {names}) with {values}, got {tuple(tensor.shape)}"
        )


def symmetric(name: str, tensor: Tensor) -> None:
    """Require symmetric matrices.

    Args:
        name: Argument's name.
        tensor: Its value, shape (..., n, n).

    Raises:
        InvalidInputError: naming the largest asymmetry.
    """
    gap = (tensor - tensor.mT).abs()
    scale = float(tensor.abs().max()) if tensor.numel() else 0.0
    tolerance = 100 * torch.finfo(tensor.dtype).eps * max(scale, 1.0)
    if tensor.numel() and float(gap.max()) > tolerance:
        raise InvalidInputError(
            f"{name}: expected symmetric matrices, got a difference of {float(gap.max()):.3g} "
            "between an entry and its mirror"
        )
