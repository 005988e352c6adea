"""Checks of user input: each raises `InvalidInputError` with one sentence."""

import math
from collections.abc import Iterable
from numbers import Integral, Real

import torch
from torch import Tensor

from ocngame.errors import InvalidInputError, UnknownNameError

__all__ = [
    "finite",
    "in_range",
    "integer",
    "non_negative",
    "one_of",
    "positive",
    "same_kind",
    "shaped",
    "symmetric",
]


def _number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _known(condition: Tensor) -> bool:
    """Say whether a condition holds; inside `torch.vmap`, where no value can be looked at, no."""
    try:
        return bool(condition)
    except RuntimeError:
        return False


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


def finite(name: str, tensor: Tensor) -> None:
    """Require a tensor without NaN or infinity.

    Args:
        name: Argument's name.
        tensor: Its value.

    Raises:
        InvalidInputError: naming the count and the first position of non-finite entries.
    """
    # Whatever is not finite makes the sum so: one pass for what is nearly always fine.
    if not _known(~torch.isfinite(tensor.sum())):
        return
    bad = ~torch.isfinite(tensor)
    if bool(bad.any()):
        first = tuple(bad.nonzero()[0].tolist())
        raise InvalidInputError(
            f"{name}: expected finite numbers, got {int(bad.sum())} non-finite of {tensor.numel()} "
            f"(first at {first})"
        )


def same_kind(name: str, tensor: Tensor, like: Tensor, like_name: str) -> None:
    """Require the dtype and the device of another tensor.

    Args:
        name: Argument's name.
        tensor: Its value.
        like: The tensor to agree with.
        like_name: That tensor's name.

    Raises:
        InvalidInputError: naming both.
    """
    if (tensor.dtype, tensor.device) != (like.dtype, like.device):
        raise InvalidInputError(
            f"{name}: expected {like.dtype} on {like.device} as {like_name}, "
            f"got {tensor.dtype} on {tensor.device}"
        )


def shaped(name: str, tensor: Tensor, dims: str, **sizes: int) -> dict[str, int]:
    """Require a shape given by the names of its dimensions.

    Args:
        name: Argument's name.
        tensor: Its value.
        dims: Names of the dimensions, separated by spaces; a leading `...` allows batch dimensions.
            A name that comes twice must have one size.
        **sizes: Sizes of the names that are already known.

    Returns:
        The size of every name in `dims`.

    Raises:
        InvalidInputError: giving the expected names and sizes, and the shape that came.

    Examples:
        >>> import torch
        >>> shaped("A", torch.zeros(3, 4, 4), "T n n", n=4)
        {'T': 3, 'n': 4}
        >>> shaped("A", torch.zeros(3, 4, 5), "T n n", n=4)
        Traceback (most recent call last):
        ...
        ocngame.errors.InvalidInputError: A: expected shape (T, n, n) with n=4, got (3, 4, 5)
    """
    names = dims.split()
    wanted = names[1:] if names[:1] == ["..."] else names
    shape = tuple(tensor.shape)
    fits = len(shape) >= len(wanted) if wanted is not names else len(shape) == len(wanted)
    trailing = shape[len(shape) - len(wanted) :] if fits else ()
    found: dict[str, int] = {}
    for dim, size in zip(wanted, trailing, strict=False):
        fits = fits and found.setdefault(dim, sizes.get(dim, size)) == size
    if not fits:
        known = ", ".join(f"{dim}={sizes[dim]}" for dim in dict.fromkeys(wanted) if dim in sizes)
        comma = "," if len(names) == 1 else ""
        raise InvalidInputError(
            f"{name}: expected shape ({', '.join(names)}{comma})"
            f"{' with ' + known if known else ''}, got {shape}"
        )
    return found


def symmetric(name: str, tensor: Tensor) -> None:
    """Require symmetric matrices, up to 100 rounding errors of the largest entry.

    Args:
        name: Argument's name.
        tensor: Its value, floating point, shape (..., n, n).

    Raises:
        InvalidInputError: naming the largest asymmetry, or that of the shape.
    """
    shaped(name, tensor, "... n n")
    if not tensor.numel():
        return
    gap = (tensor - tensor.mT).amax()
    tolerance = 100 * torch.finfo(tensor.dtype).eps * torch.maximum(-tensor.amin(), tensor.amax())
    if _known(~(gap <= tolerance)):
        raise InvalidInputError(
            f"{name}: expected symmetric matrices, got a difference of {float(gap):.3g} "
            "between an entry and its mirror"
        )
