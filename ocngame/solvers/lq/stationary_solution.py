"""What the infinite horizon gives: policies, values, and how far they can be trusted."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ocngame._checks import integer, positive
from ocngame.bellman import StageRule
from ocngame.games import InformationStructure, LQGame
from ocngame.solvers.lq.existence import ExistenceRule, LQCertificate, join, judge
from ocngame.solvers.lq.feedback import control_scale
from ocngame.solvers.lq.repeated_stage import stage_of
from ocngame.solvers.lq.settle import Settled
from ocngame.solvers.lq.status import Status, code_of, curvature_status, status_of

__all__ = ["StationaryRule", "StationarySolution", "certified"]


@dataclass(frozen=True, kw_only=True)
class StationaryRule:
    """When the recursion counts as standing still.

    Attributes:
        tolerance: Largest relative residual of the Riccati equations. If None, `eps ** 0.75` of
            the dtype (1.8e-12 in float64), at least 100 roundings: where the closed loop forgets
            slowly, no arithmetic gets as far as a few roundings. The recursion goes on below that
            as long as every stage halves the residual.
        most: Most stages.
        existence: How far from the border of existence counts as existing.
    """

    tolerance: float | None = None
    most: int = 10_000
    existence: ExistenceRule = field(default_factory=ExistenceRule)

    def __post_init__(self) -> None:
        """Validate the settings."""
        if self.tolerance is not None:
            positive("tolerance", self.tolerance)
        integer("most", self.most, low=1)

    def resolved(self, dtype: torch.dtype) -> tuple[float, float]:
        """Give the tolerance, and the residual down to which it is worth going on.

        Args:
            dtype: The dtype whose rounding is the default's unit.

        Returns:
            Both; equal where the user set the tolerance.
        """
        if self.tolerance is not None:
            return self.tolerance, self.tolerance
        eps = torch.finfo(dtype).eps
        return max(100 * eps, eps**0.75), 10 * eps


@dataclass(frozen=True, kw_only=True)
class StationarySolution:
    """A stationary equilibrium, batch dimensions in front.

    Attributes:
        information: The information structure.
        feedback: `u = K x`, shape (..., m, n); NaN in batch elements that are not solved.
        v_xx: Hessians of every player's value, shape (..., N, n, n); NaN likewise.
        residual: Largest residual of the Riccati equations relative to the largest value, (...).
        spectral_radius: Largest modulus of the eigenvalues of A + B K, shape (...).
        stages: Number of stages that the recursion took, shape (...).
        certificate: Own curvatures and the coupled system of the stage (T = 1).
        codes: Positions in the list of `Status`, shape (...).
    """

    information: InformationStructure
    feedback: Tensor
    v_xx: Tensor
    residual: Tensor
    spectral_radius: Tensor
    stages: Tensor
    certificate: LQCertificate
    codes: Tensor

    @property
    def status(self) -> Status | list:
        """The status; nested lists of the batch's shape if there is a batch."""
        return status_of(self.codes)

    @property
    def solved(self) -> Tensor:
        """Whether each batch element is solved, shape (...)."""
        return self.codes == 0


def certified(
    game: LQGame,
    stage: StageRule,
    v_xx: Tensor,
    end: Settled,
    rule: StationaryRule,
) -> StationarySolution:
    """Judge values that are said to stand still.

    Args:
        game: The game.
        stage: Who moves, under which information.
        v_xx: The values, shape (..., N, n, n).
        end: How they were reached.
        rule: When a value counts as standing still.

    Returns:
        The solution, NaN where it is none.
    """
    _, policy, found = stage_of(game, stage)(v_xx)
    certificate = join([found], control_scale(game, stage))
    fault = judge(
        certificate, rule.existence, curvature_status(stage.information), Status.SINGULAR_SYSTEM
    )
    loop = (game.A + game.B @ policy.feedback.unsqueeze(-3)).detach().squeeze(-3)
    finite = torch.isfinite(loop).all(-1).all(-1)
    safe = torch.where(finite[..., None, None], loop, 0)
    radius = torch.where(finite, torch.linalg.eigvals(safe).abs().amax(-1), torch.nan)
    tolerance, _ = rule.resolved(v_xx.dtype)
    still = (end.residual <= tolerance) & torch.isfinite(end.value).flatten(-3).all(-1)
    codes = fault.codes.masked_fill(~still & end.sound, code_of(Status.NOT_CONVERGED))
    codes = codes.masked_fill((codes == 0) & ~(radius < 1), code_of(Status.UNSTABLE))
    solved = codes == 0
    return StationarySolution(
        information=stage.information,
        feedback=torch.where(solved[..., None, None], policy.feedback, torch.nan),
        v_xx=torch.where(solved[..., None, None, None], v_xx, torch.nan),
        residual=end.residual,
        spectral_radius=radius,
        stages=end.count,
        certificate=certificate,
        codes=codes,
    )
