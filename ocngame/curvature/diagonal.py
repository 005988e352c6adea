r"""Diagonal curvature: of the Gauss-Newton matrix, or the root of second moments of the gradient.

* `DiagonalCurvature`: `M = diag((1/B) sum_b sum_r z_rb^2) + lambda I`.
* `RootMeanSquareCurvature`: `M = diag(sqrt(v) + eps)` with `v <- beta v + (1 - beta) g^2`; with the
  bias correction `v / (1 - beta^t)` these are Adam's denominators (Kingma & Ba, 2015, algorithm 1),
  without it RMSprop's.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ocngame._checks import positive
from ocngame.curvature.base import Curvature, State, check_decay, running_mean
from ocngame.curvature.operators import DiagonalOperator
from ocngame.linalg import Columns

__all__ = ["DiagonalCurvature", "RootMeanSquareCurvature"]


@dataclass(frozen=True, kw_only=True)
class DiagonalCurvature(Curvature):
    """Running diagonal of the Gauss-Newton block.

    Attributes:
        decay: Memory of the running mean, in [0, 1).
    """

    sizes: ClassVar[tuple[str, ...]] = ("diagonal",)

    decay: float = 0.95

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_decay(self.decay)

    def init(self, shape: tuple[int, int], like: Tensor) -> State:
        """Give a state of zeros."""
        return {"count": like.new_zeros(()), "diagonal": like.new_zeros(shape)}

    def update(self, state: State, columns: Columns | None, gradient: Tensor) -> State:
        """Take in the squared columns of a batch."""
        assert columns is not None  # noqa: S101 - guaranteed by needs_columns
        square = columns.squares() / columns.count[1]
        diagonal = running_mean(state, "diagonal", square, self.decay)
        return {"count": state["count"] + 1, "diagonal": diagonal}

    def operator(self, state: State, damping: Tensor | float) -> DiagonalOperator:
        """Give the diagonal plus the damping."""
        return DiagonalOperator(state["diagonal"] + damping)


@dataclass(frozen=True, kw_only=True)
class RootMeanSquareCurvature(Curvature):
    """Root of the running second moment of the batch gradient.

    Attributes:
        beta: Memory of the second moment, in [0, 1).
        eps: Added to the root.
        bias_correction: Adam's denominators if true, RMSprop's if false.
    """

    needs_columns: ClassVar[bool] = False

    beta: float = 0.999
    eps: float = 1e-8
    bias_correction: bool = True

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_decay(self.beta)
        positive("eps", self.eps)

    def init(self, shape: tuple[int, int], like: Tensor) -> State:
        """Give a state of zeros."""
        return {"count": like.new_zeros(()), "square": like.new_zeros(shape)}

    def update(self, state: State, columns: Columns | None, gradient: Tensor) -> State:
        """Take in the squared gradient of a batch."""
        square = self.beta * state["square"] + (1.0 - self.beta) * gradient.square()
        return {"count": state["count"] + 1, "square": square}

    def operator(self, state: State, damping: Tensor | float) -> DiagonalOperator:
        """Give the denominators; the damping does not enter."""
        root = state["square"].sqrt()
        if self.bias_correction:
            # In bfloat16 a beta near one would be one.
            counted = 1.0 - self.beta ** state["count"].double()
            root = root / counted.sqrt().to(root.dtype)
        return DiagonalOperator(root + self.eps)
