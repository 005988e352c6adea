r"""Infinite horizon: one stage repeated forever, its coupled algebraic Riccati equations.

    V^i = Q^i + M^i K + K' M^i' + K' R^i K + (A + B K)' V^i (A + B K)        for every player i

with K the stage policy of the information structure against V (Basar & Olsder, 2nd ed., section
6.2 for feedback Nash; one equation for cooperative play; the game Riccati equation for zero-sum).
They are solved by the finite-horizon recursion itself, run until it stands still. What comes out is
certified by the residual of the equations, the spectral radius of `A + B K`, and own curvatures.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ocngame._checks import integer, one_of, positive
from ocngame.bellman import (
    AffinePolicy,
    DenseStage,
    QExpansion,
    StageCertificate,
    ValueExpansion,
    evaluate_policy,
    lq_stages,
)
from ocngame.errors import InvalidInputError, UnsolvableGameError
from ocngame.games import InformationStructure, LQGame
from ocngame.solvers.lq.existence import ExistenceRule, LQCertificate, join, judge
from ocngame.solvers.lq.feedback import control_scale
from ocngame.solvers.lq.implicit import attach_gradient, iterate
from ocngame.solvers.lq.rules import stage_rule
from ocngame.solvers.lq.status import Status, code_of, status_of

__all__ = ["StationaryRule", "StationarySolution", "solve_stationary"]


@dataclass(frozen=True, kw_only=True)
class StationaryRule:
    """When the recursion counts as standing still.

    Attributes:
        tolerance: Largest relative residual of the Riccati equations; 100 roundings of the dtype
            if None.
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


def solve_stationary(
    game: LQGame,
    *,
    information: InformationStructure | str = InformationStructure.FEEDBACK,
    weights: Tensor | None = None,
    leader: int | None = None,
    rule: StationaryRule | None = None,
    raise_on_failure: bool = True,
) -> StationarySolution:
    """Solve a game whose one stage repeats forever.

    Gradients flow to the game's pieces by the implicit function theorem.

    Args:
        game: A game of horizon 1 without linear parts; its terminal costs are where the recursion
            starts, as if they stood at the end of a very long game.
        information: The information structure or its name; any but open loop.
        weights: Weights of the players' costs, shape (..., N), for cooperative play only.
        leader: Index of the player that moves first at every stage, for Stackelberg play only.
        rule: When the recursion counts as standing still.
        raise_on_failure: Whether a batch element without a solution raises. If not, it is NaN and
            its status says why.

    Returns:
        The stationary solution with its certificates.

    Raises:
        InvalidInputError: naming the argument that does not fit.
        UnknownNameError: if the information structure has no such name.
        UnsolvableGameError: naming the first batch element without a solution.

    Examples:
        >>> import torch
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> game = LQGame.time_invariant(one, [one], [one], [one], horizon=1)
        >>> found = solve_stationary(game)
        >>> round(float(found.v_xx), 12)  # the golden ratio
        1.61803398875
    """
    one_of("information", information, [structure.value for structure in InformationStructure])
    stage = stage_rule(game, InformationStructure(information), weights, leader)
    if stage.information is InformationStructure.OPEN_LOOP:
        raise InvalidInputError("information: expected play by policies, got open_loop")
    if game.horizon != 1:
        raise InvalidInputError(
            f"game: expected a horizon of 1, whose stage is repeated, got {game.horizon}"
        )
    for name in ("c", "q", "r"):
        if bool(getattr(game, name).detach().any()):
            raise InvalidInputError(f"game.{name}: expected zero for an infinite horizon")
    rule = StationaryRule() if rule is None else rule
    tolerance = rule.tolerance
    if tolerance is None:
        tolerance = 100 * torch.finfo(game.A.dtype).eps
    dense = DenseStage(quadratic=lq_stages(game)[0], rule=stage)
    scale = control_scale(game, stage)

    def look(v_xx: Tensor) -> tuple[QExpansion, AffinePolicy, StageCertificate]:
        zero = game.q[..., 0, :]
        q = dense.expand(ValueExpansion(v=zero[..., 0], v_x=zero, v_xx=v_xx))
        return q, *dense.solve(q)

    def advance(v_xx: Tensor) -> Tensor:
        q, policy, _ = look(v_xx)
        return evaluate_policy(q, policy).v_xx

    def step(v_xx: Tensor) -> tuple[Tensor, Tensor]:
        q, policy, found = look(v_xx)
        verdict = judge(
            join([found], scale), rule.existence, Status.OWN_CURVATURE, Status.SINGULAR_SYSTEM
        )
        return evaluate_policy(q, policy).v_xx, verdict.codes == 0

    end = iterate(step, game.Q[..., 1, :, :], tolerance=tolerance, most=rule.most)
    v_xx = attach_gradient(advance, end.value, tolerance=tolerance, most=rule.most)
    _, policy, found = look(v_xx)
    certificate = join([found], scale)
    codes = judge(certificate, rule.existence, Status.OWN_CURVATURE, Status.SINGULAR_SYSTEM).codes
    loop = (game.A + game.B @ policy.feedback.unsqueeze(-3)).detach().squeeze(-3)
    finite = torch.isfinite(loop).all(-1).all(-1)
    safe = torch.where(finite[..., None, None], loop, 0)
    radius = torch.where(finite, torch.linalg.eigvals(safe).abs().amax(-1), torch.nan)
    still = (end.residual <= tolerance) & torch.isfinite(end.value).flatten(-3).all(-1)
    codes = codes.masked_fill(~still & end.healthy, code_of(Status.NOT_CONVERGED))
    codes = codes.masked_fill((codes == 0) & ~(radius < 1), code_of(Status.UNSTABLE))
    if raise_on_failure and bool((codes != 0).any()):
        where = tuple(int(index) for index in (codes != 0).nonzero()[0])
        place = f" in batch element {where}" if where else ""
        raise UnsolvableGameError(
            f"game: no stationary {stage.information} solution{place}: {status_of(codes[where])}"
        )
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
