r"""Curvature of the batch at hand, exact in sample space.

The damped Gauss-Newton block of one stage, with the columns Z of B samples scaled by `B^(-1/2)`, is

    M = Z Z' + lambda I,    M^{-1} = (I - Z (lambda I + Z' Z)^{-1} Z') / lambda,

so that nothing of the size of a parameter squared is formed: `Z' Z` is an r x r matrix for r = R B
columns, for a linear layer the elementwise product of two small Gram matrices. It is
`FullCurvature` without memory. All stages jointly are the feedback `EXACT` with `DampingMetric`.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ocngame.curvature.base import Curvature, State
from ocngame.curvature.identity import DampingMetric
from ocngame.curvature.operators import CurvatureOperator
from ocngame.linalg import Columns, DenseColumns, OuterColumns, damped_inverse

__all__ = ["GramCurvature", "GramOperator"]


@dataclass(frozen=True)
class GramOperator(CurvatureOperator):
    """`M = Z Z' + lambda I`.

    Attributes:
        columns: Z, R for each of B samples.
        core: `(lambda I + Z' Z)^{-1}`, shape (R B, R B).
        damping: lambda.
    """

    columns: Columns
    core: Tensor
    damping: Tensor | float

    def solve(self, control: Tensor) -> Tensor:
        """Give `M^{-1} control` by Woodbury's formula."""
        if control.ndim > 2:
            z, flat = self._dense, control.flatten(-2)
            return ((flat - flat @ z.mT @ self.core @ z) / self.damping).view_as(control)
        weights = self.core @ self.columns.inner(control).flatten()
        seen = self.columns.combine(weights.view(self.columns.count))
        return (control - seen) / self.damping

    def matmul(self, control: Tensor) -> Tensor:
        """Give `M control`."""
        if control.ndim > 2:
            z, flat = self._dense, control.flatten(-2)
            return (self.damping * flat + flat @ z.mT @ z).view_as(control)
        return self.damping * control + self.columns.combine(self.columns.inner(control))

    def inverse_gram(self, columns: Columns, per_sample: bool = False) -> Tensor:
        """Give `Y' M^{-1} Y` of columns Y from Gram matrices."""
        mixed = columns.gram(self.columns)
        if per_sample:
            mixed = mixed.unflatten(0, columns.count).transpose(0, 1)
            inner = columns.sample_gram(columns)
        else:
            inner = columns.gram(columns)
        return (inner - mixed @ self.core @ mixed.mT) / self.damping

    @property
    def _dense(self) -> Tensor:
        return self.columns.dense.flatten(0, 1).flatten(1)


@dataclass(frozen=True, kw_only=True)
class GramCurvature(Curvature):
    """The damped Gauss-Newton block of the newest batch, without memory.

    It has no curvature but the batch's: it wants exact columns, measured and factorised every step
    (`Rhythm(first=1, measure_every=1, refresh_every=1)`).
    """

    needs_factors: ClassVar[bool] = True

    def init(self, shape: tuple[int, int], like: Tensor) -> State:
        """Give the empty state."""
        return {}

    def update(self, state: State, columns: Columns | None, gradient: Tensor) -> State:
        """Keep the columns of a batch."""
        assert columns is not None  # noqa: S101 - guaranteed by needs_columns
        return state | _kept(columns.scaled(columns.count[1] ** -0.5), "new_")

    def refresh(self, state: State, damping: Tensor | float) -> State:
        """Factorise the columns that were kept last, under the given damping."""
        z = _columns(state, "new_")
        shift = torch.as_tensor(damping, dtype=z.like.dtype, device=z.like.device)
        core = damped_inverse(z.gram(z), shift)
        return _kept(z, "new_") | _kept(z, "used_") | {"core": core, "shift": shift}

    def operator(self, state: State, damping: Tensor | float) -> CurvatureOperator:
        """Give the operator of the last refresh, with its damping."""
        if "core" not in state:
            return DampingMetric().operator(state, damping)
        return GramOperator(_columns(state, "used_"), state["core"], state["shift"])


def _kept(columns: Columns, prefix: str) -> State:
    if isinstance(columns, OuterColumns):
        return {f"{prefix}left": columns.left, f"{prefix}right": columns.right}
    return {f"{prefix}values": columns.dense}


def _columns(state: State, prefix: str) -> Columns:
    if f"{prefix}left" in state:
        return OuterColumns(state[f"{prefix}left"], state[f"{prefix}right"])
    return DenseColumns(state[f"{prefix}values"])
