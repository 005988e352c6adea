"""The pieces of a linear-quadratic game: their shapes, checked and brought to one batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ocngame._checks import integer
from ocngame._tensor_checks import finite, same_kind, shaped, symmetric
from ocngame.errors import InvalidInputError
from ocngame.games.control_slices import check_slices

__all__ = ["PIECES", "checked_pieces"]

PIECES = {
    "A": "... T n n",
    "B": "... T n m",
    "c": "... T n",
    "Q": "... N T+1 n n",
    "q": "... N T+1 n",
    "R": "... N T m m",
    "r": "... N T m",
    "M": "... N T n m",
}


def checked_pieces(
    pieces: dict[str, Tensor], control_slices: Sequence[slice]
) -> tuple[dict[str, Tensor], tuple[slice, ...]]:
    """Check pieces and bring them to one batch shape.

    Args:
        pieces: The pieces that were given, by name; A, B, Q and R among them.
        control_slices: Each player's slice of the joint control.

    Returns:
        All pieces, those that were not given as zeros, and the slices, each with its start.

    Raises:
        InvalidInputError: naming the piece that has the wrong shape, is not finite or not
            symmetric, or the player that owns no control of its own.
    """
    A = pieces["A"]
    _check_kinds(pieces)
    sizes = shaped("A", A, PIECES["A"])
    integer("A: horizon T", sizes["T"], low=1)
    sizes |= shaped("B", pieces["B"], PIECES["B"], **sizes)
    slices = check_slices(control_slices, sizes["m"])
    sizes |= {"T+1": sizes["T"] + 1, "N": len(slices)}
    for name, piece in pieces.items():
        shaped(name, piece, PIECES[name], **sizes)
        finite(name, piece.detach())
    for name in ("Q", "R"):
        symmetric(name, pieces[name].detach())
    batch = _one_batch(pieces)
    whole = {}
    for name, dims in PIECES.items():
        shape = [*batch, *(sizes[dim] for dim in dims.split()[1:])]
        piece = pieces[name] if name in pieces else A.new_zeros(())
        whole[name] = _stage_by_stage(piece.expand(shape), dims.split())
    return whole, slices


def _one_batch(pieces: dict[str, Tensor]) -> torch.Size:
    ranks = {name: len(dims.split()) - 1 for name, dims in PIECES.items()}
    leading = {name: piece.shape[: piece.ndim - ranks[name]] for name, piece in pieces.items()}
    try:
        return torch.broadcast_shapes(*leading.values())
    except RuntimeError as error:
        shown = ", ".join(f"{name} {tuple(shape)}" for name, shape in leading.items())
        raise InvalidInputError(
            f"batch: expected leading dimensions that broadcast, got {shown}"
        ) from error


def _check_kinds(pieces: dict[str, Tensor]) -> None:
    """Require real floating point tensors of one dtype on one device."""
    first = pieces["A"]
    for name, piece in pieces.items():
        if not piece.is_floating_point():
            raise InvalidInputError(f"{name}: expected floating point numbers, got {piece.dtype}")
        same_kind(name, piece, first, "A")


def _stage_by_stage(piece: Tensor, dims: list[str]) -> Tensor:
    """Lay a batch out stage by stage in memory, as solvers read it; repeated pieces stay so."""
    time = next(i for i, dim in enumerate(dims) if dim.startswith("T")) - len(dims)
    if piece.ndim == len(dims) - 1 or piece.stride(time) == 0:
        return piece
    return piece.movedim(time, 0).contiguous().movedim(0, time)
