r"""The times' policy: what they answer to the move of the controls.

Of the model `(Q_T + Q_Tu du)' dT + dT' Q_TT dT / 2` the minimum in dT is the feedback policy

    dT = k + K du,      k = -P^{-1} Q_T,      K = -P^{-1} Q_Tu

(arXiv 2109.14158, section 3.4) with `P = Q_TT` where that is positive definite. Else P has the
absolute eigenvalues of Q_TT, raised to a small part of the greatest: a step against the slope
also where the loss bends down in the times.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.solvers.horizon.expansion import TimeExpansion

__all__ = ["TimePolicy", "positive_part"]

_LEAST = 1e-6


def positive_part(curvature: Tensor) -> Tensor:
    """Give a positive definite matrix for a symmetric one.

    Args:
        curvature: Symmetric, shape (K, K).

    Returns:
        The matrix itself if it is well within the positive definite ones.
    """
    values, vectors = torch.linalg.eigh(curvature)
    least = _LEAST * max(float(values.abs().max()), 1e-12)
    if bool((values >= least).all()):
        return curvature
    return (vectors * values.abs().clamp(min=least)) @ vectors.T


@dataclass(frozen=True)
class TimePolicy:
    """A policy and the expansion that it comes from.

    Attributes:
        expansion: The expansion of the batch.
        slope: Q_T, of the batch or of several, shape (K,).
        curvature: P, shape (K, K).
    """

    expansion: TimeExpansion
    slope: Tensor
    curvature: Tensor

    @property
    def feedforward(self) -> Tensor:
        """k, shape (K,)."""
        return -torch.linalg.solve(self.curvature, self.slope)

    @property
    def feedback(self) -> dict[str, Tensor]:
        """K by the names of the parameters, shape (K, ...) each."""
        gains = {}
        for name, across in self.expansion.q_tu.items():
            inverse = torch.linalg.inv(self.curvature).to(across)
            gains[name] = -torch.tensordot(inverse, across, 1)
        return gains

    def carried(self, du: Mapping[str, Tensor]) -> Tensor:
        """Give `Q_Tu du`, by which a move of the controls changes the slope in the times.

        Args:
            du: Moves by the names of the parameters.

        Returns:
            Shape (K,).
        """
        total = torch.zeros_like(self.expansion.q_t)
        for name, across in self.expansion.q_tu.items():
            total += (across.flatten(1) @ du[name].flatten()).double().cpu()
        return total

    def move(self, du: Mapping[str, Tensor]) -> Tensor:
        """Give the answer `k + K du` to a move of the controls.

        Args:
            du: Moves by the names of the parameters.

        Returns:
            dT, shape (K,).
        """
        return -torch.linalg.solve(self.curvature, self.slope + self.carried(du))

    def predicted(self, du: Mapping[str, Tensor], dt: Tensor) -> float:
        """Predict what a move of the times does to the batch's loss after the controls have moved.

        Args:
            du: Moves by the names of the parameters.
            dt: The move of the times, shape (K,).

        Returns:
            `(Q_T + Q_Tu du)' dT + dT' Q_TT dT / 2`.
        """
        slope = self.expansion.q_t + self.carried(du)
        return float(slope @ dt + dt @ self.expansion.q_tt @ dt / 2)
