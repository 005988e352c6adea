"""The pieces of a linear-quadratic game that do not change over time."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ocngame._checks import integer, shaped
from ocngame.errors import InvalidInputError
from ocngame.games.control_slices import slices_of

__all__ = ["repeated_pieces"]


def repeated_pieces(
    A: Tensor,
    B: Sequence[Tensor],
    Q: Sequence[Tensor],
    R: Sequence[Tensor],
    *,
    horizon: int,
    terminal: Sequence[Tensor] | None,
    M: Sequence[Tensor] | None,
) -> dict[str, Any]:
    """Repeat the pieces over the horizon and join those of the players.

    Args:
        A: State matrix, shape (..., n, n).
        B: Each player's control matrix, shape (..., n, m_i).
        Q: Each player's state cost, shape (..., n, n).
        R: Each player's control cost, over its own control (..., m_i, m_i) or the joint one.
        horizon: Number T of stages.
        terminal: Each player's terminal state cost, shape (..., n, n); Q if None.
        M: Each player's state-control cost over the joint control, shape (..., n, m), or None.

    Returns:
        The arguments of `LQGame`.

    Raises:
        InvalidInputError: naming the piece at fault.
    """
    integer("horizon", horizon, low=1)
    lists = {"B": B, "Q": Q, "R": R, "terminal": terminal, "M": M}
    for name, pieces in lists.items():
        if pieces is not None and (not pieces or len(pieces) != len(B)):
            raise InvalidInputError(
                f"{name}: expected one matrix per player, {max(len(B), 1)} as in B, "
                f"got {len(pieces)}"
            )
    n = shaped("A", A, "... n n")["n"]
    sizes = [shaped(f"B[{i}]", b, "... n m", n=n)["m"] for i, b in enumerate(B)]
    slices = slices_of(sizes)
    controls = [
        _embed(f"R[{i}]", cost, block, sum(sizes))
        for i, (cost, block) in enumerate(zip(R, slices, strict=True))
    ]
    states = [_repeat(cost, horizon) for cost in Q]
    ends = Q if terminal is None else terminal
    whole = [
        torch.cat(_one_batch([state, _repeat(end, 1)], 3), dim=-3)
        for state, end in zip(states, ends, strict=True)
    ]
    pieces: dict[str, Any] = {
        "A": _repeat(A, horizon),
        "B": _repeat(torch.cat(_one_batch(B, 2), dim=-1), horizon),
        "Q": torch.stack(_one_batch(whole, 3), dim=-4),
        "R": torch.stack(_one_batch([_repeat(cost, horizon) for cost in controls], 3), dim=-4),
        "control_slices": slices,
    }
    if M is not None:
        mixed = [_repeat(cost, horizon) for cost in M]
        pieces["M"] = torch.stack(_one_batch(mixed, 3), dim=-4)
    return pieces


def _repeat(matrix: Tensor, horizon: int) -> Tensor:
    return matrix.unsqueeze(-3).expand(*matrix.shape[:-2], horizon, *matrix.shape[-2:])


def _one_batch(pieces: Sequence[Tensor], rank: int) -> list[Tensor]:
    batch = torch.broadcast_shapes(*(piece.shape[: piece.ndim - rank] for piece in pieces))
    return [piece.expand(*batch, *piece.shape[piece.ndim - rank :]) for piece in pieces]


def _embed(name: str, cost: Tensor, block: slice, size: int) -> Tensor:
    """Give a control cost over the joint control, from one over the own control or the joint."""
    if cost.shape[-1] == size:
        shaped(name, cost, "... m m", m=size)
        return cost
    shaped(name, cost, "... m m", m=block.stop - block.start)
    return torch.nn.functional.pad(cost, (block.start, size - block.stop) * 2)
