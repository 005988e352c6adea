r"""Kronecker curvature (K-FAC) and its eigen-corrected form (EKFAC).

For columns `z_rb = g_rb x_b'` the Gauss-Newton block `(1/B) sum_rb (g g') (x) (x x')` becomes

    B (x) A,    A = (1/B) sum_b x_b x_b',    B = (1/B) sum_b sum_r g_rb g_rb'

(Martens & Grosse, 1503.05671, section 3; g is per sample, never divided by the batch once more).
It is exact for one sample, and where g does not depend on the sample (deep linear networks under
squared error with exact columns). A control used at S positions enters in the expand form
(Eschenhagen et al., 2311.00636): `A = (1/B) sum_b sum_s x x'`, `B = (1/(B S)) sum_b sum_r,s g g'`.

A control that acts over a span of time (`IntegratedColumns`) has the time integrals of `x x'` and
`g g'` as factors. Their product says little of the size of the block, which depends on how the
stages of the solver add up: it is brought to the trace that the columns of the batch have,
`tr B tr A = (1/B) sum_rb |z_rb|^2`.

Damping is split by `pi^2 = (tr A / dim A) / (tr B / dim B)`: `A + pi sqrt(lambda) I` and
`B + sqrt(lambda)/pi I` (ibid., section 6.3). The eigen-corrected form keeps the eigenvectors and
replaces the eigenvalues by measured second moments `d = (1/B) sum_rb (V_B' z_rb V_A)^2`, to which
lambda is added (George et al., 1806.03884).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ocngame._checks import integer
from ocngame.curvature.base import Curvature, State, check_decay, running_mean
from ocngame.curvature.operators import EigenOperator, KroneckerOperator
from ocngame.linalg import (
    Columns,
    IntegratedColumns,
    OuterColumns,
    block_gram,
    block_number,
    damped_inverse,
    symmetric_eigen,
)

__all__ = ["EigenKroneckerCurvature", "KroneckerCurvature"]

Factored = OuterColumns | IntegratedColumns


@dataclass(frozen=True, kw_only=True)
class KroneckerCurvature(Curvature):
    """Running Kronecker factors with pi-corrected damping.

    A side of a control that is wide in itself and against the other side has a block-diagonal
    factor (`ocngame.linalg.block_number`): memory and time of the factors stay within a few times
    those of the control.

    Attributes:
        decay: Memory of the factors, in [0, 1).
        widest: Width up to which a side of a control is one block.
    """

    needs_factors: ClassVar[bool] = True
    sizes: ClassVar[tuple[str, ...]] = ("left",)

    decay: float = 0.95
    widest: int = 128

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_decay(self.decay)
        integer("widest", self.widest, low=1)

    def init(self, shape: tuple[int, int], like: Tensor) -> State:
        """Give factors of zeros and inverses of ones."""
        left, right = (self._ones(a, b, like) for a, b in (shape, shape[::-1]))
        return {
            "count": like.new_zeros(()),
            "left": torch.zeros_like(left),
            "right": torch.zeros_like(right),
            "left_inverse": left,
            "right_inverse": right,
            "shifts": like.new_zeros(2),
        }

    def _ones(self, size: int, other: int, like: Tensor) -> Tensor:
        blocks = block_number(size, other, self.widest)
        eye = torch.eye(-(-size // blocks), dtype=like.dtype, device=like.device)
        return eye.repeat(blocks, 1, 1)

    def update(self, state: State, columns: Columns | None, gradient: Tensor) -> State:
        """Take in the factors of a batch."""
        assert isinstance(columns, Factored)  # noqa: S101 - guaranteed by needs_factors
        blocks = state["left"].shape[0], state["right"].shape[0]
        left, right = _factors(columns, blocks)
        return state | {
            "left": running_mean(state, "left", left, self.decay),
            "right": running_mean(state, "right", right, self.decay),
            "count": state["count"] + 1,
        }

    def refresh(self, state: State, damping: Tensor | float) -> State:
        """Invert the damped factors."""
        left_shift, right_shift = split_damping(state["left"], state["right"], damping)
        return state | {
            "left_inverse": damped_inverse(state["left"], left_shift),
            "right_inverse": damped_inverse(state["right"], right_shift),
            "shifts": torch.stack([left_shift, right_shift]),
        }

    def operator(self, state: State, damping: Tensor | float) -> KroneckerOperator:
        """Give the damped product with the inverses and shifts of the last refresh."""
        return KroneckerOperator(
            state["left"],
            state["right"],
            state["left_inverse"],
            state["right_inverse"],
            state["shifts"],
        )


@dataclass(frozen=True, kw_only=True)
class EigenKroneckerCurvature(Curvature):
    """Running Kronecker eigenbasis with measured second moments as eigenvalues.

    Attributes:
        decay: Memory of factors and eigenvalues, in [0, 1).
    """

    needs_factors: ClassVar[bool] = True
    sizes: ClassVar[tuple[str, ...]] = ("left", "eigenvalues")

    decay: float = 0.95

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_decay(self.decay)

    def init(self, shape: tuple[int, int], like: Tensor) -> State:
        """Give factors and eigenvalues of zeros and the identity as eigenbasis."""
        left, right = (torch.eye(n, dtype=like.dtype, device=like.device) for n in shape)
        return {
            "count": like.new_zeros(()),
            "left": torch.zeros_like(left),
            "right": torch.zeros_like(right),
            "left_vectors": left,
            "right_vectors": right,
            "eigenvalues": like.new_zeros(shape),
        }

    def update(self, state: State, columns: Columns | None, gradient: Tensor) -> State:
        """Take in the factors of a batch, and its second moments in the current eigenbasis."""
        assert isinstance(columns, Factored)  # noqa: S101 - guaranteed by needs_factors
        left, right = (factor[0] for factor in _factors(columns, (1, 1)))
        moments = _moments(columns, state["left_vectors"], state["right_vectors"])
        return state | {
            "left": running_mean(state, "left", left, self.decay),
            "right": running_mean(state, "right", right, self.decay),
            "eigenvalues": running_mean(state, "eigenvalues", moments, self.decay),
            "count": state["count"] + 1,
        }

    def refresh(self, state: State, damping: Tensor | float) -> State:
        """Recompute the eigenbasis and express the second moments in it.

        Coordinates of the old basis count as uncorrelated: with rotations `R = V_new' V_old` the
        moments become `(R_B * R_B) d (R_A * R_A)'`. After the first batch there is no old basis,
        and the eigenvalues of the factors are taken, at the measured trace.

        Returns:
            The state in the new eigenbasis.
        """
        left_values, left_vectors = symmetric_eigen(state["left"])
        right_values, right_vectors = symmetric_eigen(state["right"])
        product = left_values.clamp_min(0)[:, None] * right_values.clamp_min(0)[None, :]
        tiny = torch.finfo(product.dtype).tiny
        product = product * (state["eigenvalues"].sum() / product.sum().clamp_min(tiny))
        turn_left = (left_vectors.mT @ state["left_vectors"]).square()
        turn_right = (right_vectors.mT @ state["right_vectors"]).square()
        carried = turn_left @ state["eigenvalues"] @ turn_right.mT
        return state | {
            "left_vectors": left_vectors,
            "right_vectors": right_vectors,
            "eigenvalues": torch.where(state["count"] > 1, carried, product),
        }

    def operator(self, state: State, damping: Tensor | float) -> EigenOperator:
        """Give the damped product in its eigenbasis."""
        return EigenOperator(
            state["left_vectors"], state["right_vectors"], state["eigenvalues"] + damping
        )


def split_damping(left: Tensor, right: Tensor, damping: Tensor | float) -> tuple[Tensor, Tensor]:
    """Split a damping over two Kronecker factors by the ratio of their mean traces.

    The ratio's root is kept within 1e-6 and 1e6: where a factor vanishes, the inverses would
    otherwise leave the range of float32.

    Args:
        left: B, shape (..., o, o).
        right: A, shape (..., i, i).
        damping: lambda of the product.

    Returns:
        The shifts of B and of A.
    """
    tiny = torch.finfo(left.dtype).tiny
    mean_left = left.diagonal(dim1=-2, dim2=-1).mean().clamp_min(tiny)
    mean_right = right.diagonal(dim1=-2, dim2=-1).mean().clamp_min(tiny)
    pi = (mean_right / mean_left).sqrt().clamp(1e-6, 1e6)
    root = torch.as_tensor(damping, dtype=left.dtype, device=left.device).sqrt()
    return root / pi, root * pi


def _factors(columns: Factored, blocks: tuple[int, int]) -> tuple[Tensor, Tensor]:
    if isinstance(columns, IntegratedColumns):
        left, right = columns.densities(blocks)
        trace = columns.dense.square().sum() / columns.count[1]
        product = _trace(left) * _trace(right)
        return left * (trace / product.clamp_min(torch.finfo(left.dtype).tiny)), right
    positions = columns.right.shape[1]
    samples = columns.count[1]
    left = block_gram(columns.left.flatten(0, 2), blocks[0])
    right = block_gram(columns.right.flatten(0, 1), blocks[1])
    return left / (samples * positions), right / samples


def _trace(factor: Tensor) -> Tensor:
    return factor.diagonal(dim1=-2, dim2=-1).sum()


def _moments(columns: Factored, left_vectors: Tensor, right_vectors: Tensor) -> Tensor:
    if isinstance(columns, IntegratedColumns):
        turned = left_vectors.mT @ columns.dense @ right_vectors
        return turned.square().sum((0, 1)) / columns.count[1]
    rotated = columns.transformed(left_vectors.mT, right_vectors.mT)
    samples = columns.count[1]
    if columns.right.shape[1] == 1:
        left = rotated.left[..., 0, :].square().sum(0)
        return left.mT @ rotated.right[:, 0].square() / samples
    return rotated.dense.square().sum((0, 1)) / samples
