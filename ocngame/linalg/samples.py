"""Columns of one control over several batches of samples, put together."""

from collections.abc import Sequence

import torch

from ocngame.errors import UnsupportedModuleError
from ocngame.linalg.columns import Columns
from ocngame.linalg.dense_columns import DenseColumns
from ocngame.linalg.outer_columns import OuterColumns
from ocngame.linalg.row_columns import RowColumns

__all__ = ["joined_samples"]


def joined_samples(parts: Sequence[Columns]) -> Columns:
    """Let the samples of several columns stand beside each other.

    Args:
        parts: Columns of one control, R for each of B_1, B_2, .. samples.

    Returns:
        R columns for each of all samples, in the order of the parts.

    Raises:
        UnsupportedModuleError: if they are kept in ways that do not go together.
    """
    if len(parts) == 1:
        return parts[0]
    outer = [part for part in parts if isinstance(part, OuterColumns)]
    if len(outer) == len(parts) and len({part.right.shape[1] for part in outer}) == 1:
        return OuterColumns(
            torch.cat([part.left for part in outer], 1), torch.cat([part.right for part in outer])
        )
    dense = [part for part in parts if isinstance(part, DenseColumns)]
    if len(dense) == len(parts):
        return DenseColumns(torch.cat([part.values for part in dense], 1))
    rows = [part for part in parts if isinstance(part, RowColumns)]
    if len(rows) == len(parts) and len({part.index.shape[1] for part in rows}) == 1:
        return RowColumns(
            torch.cat([part.left for part in rows], 1),
            torch.cat([part.index for part in rows]),
            rows[0].height,
        )
    kinds = ", ".join(sorted({type(part).__name__ for part in parts}))
    raise UnsupportedModuleError(
        "players: expected calls of a module on inputs of one length, or on no vector field; "
        f"columns of several calls ({kinds}) do not go together"
    )
