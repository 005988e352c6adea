"""What every curvature estimate offers: estimation, cache refresh and use, kept apart."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from ocngame._checks import in_range
from ocngame.curvature.operators import CurvatureOperator
from ocngame.linalg import Columns

__all__ = ["Curvature", "State", "running_mean"]

State = dict[str, Tensor]


class Curvature(ABC):
    """A rule that estimates the control curvature of one stage.

    Rules are frozen settings; everything they remember is a dictionary of tensors that the caller
    keeps. Columns are per sample and unscaled: the Gauss-Newton block of a mean loss over B samples
    is `(1/B) sum_b sum_r z_rb z_rb'`.

    Attributes:
        needs_columns: Whether `update` reads the columns of the output Hessian.
        needs_factors: Whether `update` reads columns as sums of outer products only; controls of
            other kinds then have their diagonal curvature (`rule_for`).
        sizes: Names in the state of the remembered tensors that the curvature is linear in.
    """

    needs_columns: ClassVar[bool] = True
    needs_factors: ClassVar[bool] = False
    sizes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def init(self, shape: tuple[int, int], like: Tensor) -> State:
        """Make an empty state for a control of shape (o, i), on `like`'s device and dtype."""

    @abstractmethod
    def update(self, state: State, columns: Columns | None, gradient: Tensor) -> State:
        """Estimate: take in one batch's columns and its mean gradient of shape (o, i)."""

    def faded(self, state: State, factor: float) -> State:
        """Multiply the curvature that is remembered, not its cache, by a number."""
        return state | {name: factor * state[name] for name in self.sizes}

    def refresh(self, state: State, damping: Tensor | float) -> State:
        """Recompute what is cached for `operator` (factorisations), under the given damping."""
        return state

    @abstractmethod
    def operator(self, state: State, damping: Tensor | float) -> CurvatureOperator:
        """Use: give the damped operator from the state and its cache."""


def running_mean(state: State, name: str, sample: Tensor, decay: float) -> Tensor:
    """Advance a bias-corrected running mean.

    The weight of the newest sample is `max(1 - decay, 1 / (count + 1))`: a plain mean at first, an
    exponential one later, so the first estimate is the first sample itself.

    Args:
        state: Holds the mean under `name` and the scalar `count` of samples seen so far.
        name: Key of the mean.
        sample: The new sample.
        decay: Memory in [0, 1); zero keeps the newest sample only.

    Returns:
        The new mean.
    """
    weight = (1.0 / (state["count"] + 1.0)).clamp_min(1.0 - decay)
    return state[name].lerp(sample, weight.to(sample.dtype))


def check_decay(decay: float) -> None:
    """Check a memory constant.

    Args:
        decay: Value to check.

    Raises:
        InvalidInputError: if it is outside [0, 1).
    """
    in_range("decay", decay, low=0.0, high=1.0, high_open=True)
