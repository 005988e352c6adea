"""Checks of tensors that users pass in: each raises `InvalidInputError` with one sentence."""

import torch
from torch import Tensor

from ocngame.errors import InvalidInputError

__all__ = ["finite", "known", "same_kind", "shaped", "symmetric"]

_PIECE = 1 << 16
"""Number of entries that are compared at a time."""


def known(condition: Tensor) -> bool:
    """Say whether a condition holds; inside `torch.vmap`, where no value can be looked at, no.

    Args:
        condition: A scalar.

    Returns:
        Whether it is known to hold.
    """
    try:
        return bool(condition)
    except RuntimeError:
        return False


def finite(name: str, tensor: Tensor) -> None:
    """Require a tensor without NaN or infinity.

    Args:
        name: Argument's name.
        tensor: Its value.

    Raises:
        InvalidInputError: naming the count and the first position of non-finite entries.
    """
    # Whatever is not finite makes the sum so: one pass for what is nearly always fine.
    if not known(~torch.isfinite(tensor.sum())):
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
    matrices = tensor.reshape(-1, *tensor.shape[-2:])
    # In pieces that stay in the processor's cache, several times faster than all at once.
    pieces = matrices.split(max(1, _PIECE // matrices[0].numel()))
    gap = torch.stack([(piece - piece.mT).amax() for piece in pieces]).amax()
    low, high = tensor.aminmax()
    tolerance = 100 * torch.finfo(tensor.dtype).eps * torch.maximum(-low, high)
    if known(~(gap <= tolerance)):
        raise InvalidInputError(
            f"{name}: expected symmetric matrices, got a difference of {float(gap):.3g} "
            "between an entry and its mirror"
        )
