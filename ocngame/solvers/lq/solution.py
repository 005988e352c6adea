"""What a solver hands back: policies, values, a trajectory, and how far each can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ocngame.bellman import AffinePolicy, ValueExpansion
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure
from ocngame.solvers.lq.existence import Fault, LQCertificate
from ocngame.solvers.lq.status import Status, status_of

__all__ = ["Solution"]


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The solution of a linear-quadratic game, batch dimensions in front.

    In open loop the policies describe the equilibrium path from any initial state; the players
    commit to the controls along it and do not answer to the state.

    Attributes:
        information: The information structure.
        policies: `u = k + K x`, feedforward (..., T, m) and feedback (..., T, m, n); NaN in batch
            elements that are not solved.
        stage_values: Every player's cost-to-go when all follow the policies, stages 0 .. T.
        certificate: Evidence of existence, per stage and player.
        fault: Status codes, and the stage and player at fault.
        x0: Initial state, shape (..., n), or None.
        states: States along the policies from `x0`, shape (..., T+1, n), or None.
        controls: Controls along the policies from `x0`, shape (..., T, m), or None.
        weights: Weights of cooperative play, or None.
        leader: Leader of Stackelberg play, or None.
    """

    information: InformationStructure
    policies: AffinePolicy
    stage_values: Sequence[ValueExpansion]
    certificate: LQCertificate
    fault: Fault
    x0: Tensor | None = None
    states: Tensor | None = None
    controls: Tensor | None = None
    weights: Tensor | None = None
    leader: int | None = None

    @property
    def codes(self) -> Tensor:
        """Positions in the list of `Status`, shape (...)."""
        return self.fault.codes

    @property
    def status(self) -> Status | list:
        """The status; nested lists of the batch's shape if there is a batch."""
        return status_of(self.codes)

    @property
    def solved(self) -> Tensor:
        """Whether each batch element is solved, shape (...)."""
        return self.codes == 0

    @cached_property
    def v(self) -> Tensor:
        """Constants of the values, shape (..., N, T+1)."""
        return self._masked(torch.stack([value.v for value in self.stage_values], dim=-1))

    @cached_property
    def v_x(self) -> Tensor:
        """Gradients of the values at the origin, shape (..., N, T+1, n)."""
        return self._masked(torch.stack([value.v_x for value in self.stage_values], dim=-2))

    @cached_property
    def v_xx(self) -> Tensor:
        """Hessians of the values, shape (..., N, T+1, n, n)."""
        return self._masked(torch.stack([value.v_xx for value in self.stage_values], dim=-3))

    def value(self, x0: Tensor | None = None) -> Tensor:
        """Give every player's cost of the game.

        Args:
            x0: Initial state, shape (..., n); the solution's own if None.

        Returns:
            Costs, shape (..., N).

        Raises:
            InvalidInputError: if there is no initial state.
        """
        x0 = self.x0 if x0 is None else x0
        if x0 is None:
            raise InvalidInputError("x0: expected an initial state, got None")
        first, x = self.stage_values[0], x0[..., None, :, None]
        rest = 0.5 * (first.v_xx @ x).squeeze(-1) + first.v_x
        return self._masked(first.v + (rest * x.squeeze(-1)).sum(-1))

    def _masked(self, tensor: Tensor) -> Tensor:
        missing = tensor.ndim - self.codes.ndim
        return torch.where(
            self.solved.reshape(*self.codes.shape, *(1,) * missing), tensor, torch.nan
        )
