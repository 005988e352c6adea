"""Full curvature: the dense Gauss-Newton block of a stage, for small controls and as reference."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ocngame.curvature.base import Curvature, State, check_decay, running_mean
from ocngame.curvature.operators import FullOperator
from ocngame.linalg import Columns

__all__ = ["FullCurvature"]


@dataclass(frozen=True, kw_only=True)
class FullCurvature(Curvature):
    """Running dense block `(1/B) sum_rb vec(z) vec(z)'`, plus lambda I.

    Attributes:
        decay: Memory of the block, in [0, 1).
    """

    sizes: ClassVar[tuple[str, ...]] = ("matrix",)

    decay: float = 0.95

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_decay(self.decay)

    def init(self, shape: tuple[int, int], like: Tensor) -> State:
        """Give a block of zeros."""
        size = shape[0] * shape[1]
        return {"count": like.new_zeros(()), "matrix": like.new_zeros(size, size)}

    def update(self, state: State, columns: Columns | None, gradient: Tensor) -> State:
        """Take in the block of a batch."""
        assert columns is not None  # noqa: S101 - guaranteed by needs_columns
        flat = columns.dense.flatten(0, 1).flatten(1)
        block = flat.mT @ flat / columns.count[1]
        matrix = running_mean(state, "matrix", block, self.decay)
        return {"count": state["count"] + 1, "matrix": matrix}

    def operator(self, state: State, damping: Tensor | float) -> FullOperator:
        """Give the damped block."""
        matrix = state["matrix"]
        eye = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
        return FullOperator(matrix + damping * eye)
