r"""Infinite horizon: one stage repeated forever, its coupled algebraic Riccati equations.

    V^i = Q^i + M^i K + K' M^i' + K' R^i K + (A + B K)' V^i (A + B K)        for every player i

with K the stage policy of the information structure against V (Basar & Olsder, 2nd ed., section
6.2 for feedback Nash; one equation for cooperative play; the game Riccati equation for zero-sum).
They are solved by the finite-horizon recursion itself, run until it stands still, with jumps ahead
(`ocngame.solvers.lq.settle`). What comes out is certified by the residual of the equations, the
spectral radius of `A + B K`, and own curvatures.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ocngame._checks import integer, one_of, positive
from ocngame.bellman import (
    AffinePolicy,
    DenseStage,
    QExpansion,
    StageCertificate,
    StageRule,
    ValueExpansion,
    evaluate_policy,
    lq_stages,
)
from ocngame.errors import InvalidInputError, UnsolvableGameError
from ocngame.games import InformationStructure, LQGame
from ocngame.solvers.lq.existence import ExistenceRule, LQCertificate, join, judge
from ocngame.solvers.lq.feedback import control_scale
from ocngame.solvers.lq.implicit import attach_gradient
from ocngame.solvers.lq.rules import stage_rule
from ocngame.solvers.lq.settle import Recursion, forever, settle
from ocngame.solvers.lq.status import Status, code_of, status_of

__all__ = ["StationaryRule", "StationarySolution", "solve_stationary"]


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
    tolerance, polish = rule.resolved(game.A.dtype)
    if stage.weights is not None:
        game = game.repeated(torch.broadcast_shapes(game.batch_shape, stage.weights.shape[:-1]))
    batch = game.batch_shape
    pieces = _flattened(game, stage)
    end = settle(
        lambda index: _recursion(*pieces(index), rule.existence),
        game.Q[..., 1, :, :].detach().flatten(0, len(batch) - 1)
        if batch
        else game.Q[:, 1].detach(),
        tolerance=tolerance,
        polish=polish,
        most=rule.most,
    )
    value = end.value.reshape(*batch, *end.value.shape[-3:])
    residual, stages, sound = (part.reshape(batch) for part in (end.residual, end.count, end.sound))
    look = _stage_of(game, stage)

    def advance(v_xx: Tensor) -> Tensor:
        q, policy, _ = look(v_xx)
        return evaluate_policy(q, policy).v_xx

    v_xx = attach_gradient(advance, value, tolerance=tolerance, most=rule.most)
    _, policy, found = look(v_xx)
    certificate = join([found], control_scale(game, stage))
    codes = judge(certificate, rule.existence, Status.OWN_CURVATURE, Status.SINGULAR_SYSTEM).codes
    loop = (game.A + game.B @ policy.feedback.unsqueeze(-3)).detach().squeeze(-3)
    finite = torch.isfinite(loop).all(-1).all(-1)
    safe = torch.where(finite[..., None, None], loop, 0)
    radius = torch.where(finite, torch.linalg.eigvals(safe).abs().amax(-1), torch.nan)
    still = (residual <= tolerance) & torch.isfinite(value).flatten(-3).all(-1)
    codes = codes.masked_fill(~still & sound, code_of(Status.NOT_CONVERGED))
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
        residual=residual,
        spectral_radius=radius,
        stages=stages,
        certificate=certificate,
        codes=codes,
    )


def _stage_of(
    game: LQGame, rule: StageRule
) -> Callable[[Tensor], tuple[QExpansion, AffinePolicy, StageCertificate]]:
    """Give the stage game as a function of the value after it."""
    dense = DenseStage(quadratic=lq_stages(game)[0], rule=rule)
    zero = game.q[..., 0, :]

    def look(v_xx: Tensor) -> tuple[QExpansion, AffinePolicy, StageCertificate]:
        q = dense.expand(ValueExpansion(v=zero[..., 0], v_x=zero, v_xx=v_xx))
        return q, *dense.solve(q)

    return look


def _recursion(game: LQGame, rule: StageRule, existence: ExistenceRule) -> Recursion:
    """Give the stage as a recursion for the value, without gradients."""
    look, scale = _stage_of(game, rule), control_scale(game, rule)
    dense = DenseStage(quadratic=lq_stages(game)[0], rule=rule)
    zero = torch.zeros_like(game.q[..., 0, :])
    nothing = ValueExpansion(v=zero[..., 0], v_x=zero, v_xx=torch.zeros_like(game.Q[..., 0, :, :]))
    alone = dense.expand(nothing)
    A, B = game.A.squeeze(-3), game.B.squeeze(-3)

    def step(v_xx: Tensor) -> tuple[Tensor, tuple[AffinePolicy, StageCertificate]]:
        q, policy, found = look(v_xx)
        return evaluate_policy(q, policy).v_xx, (policy, found)

    def jump(evidence: tuple[AffinePolicy, StageCertificate]) -> Tensor:
        policy, _ = evidence
        return forever(evaluate_policy(alone, policy).v_xx, A + B @ policy.feedback)

    def sound(evidence: tuple[AffinePolicy, StageCertificate]) -> Tensor:
        certificate = join([evidence[1]], scale)
        return (
            judge(certificate, existence, Status.OWN_CURVATURE, Status.SINGULAR_SYSTEM).codes == 0
        )

    return Recursion(step=step, jump=jump, sound=sound)


def _flattened(
    game: LQGame, rule: StageRule
) -> Callable[[Tensor | None], tuple[LQGame, StageRule]]:
    """Give some elements of a game, and of its rule, from an index into the flattened batch."""
    batch = game.batch_shape
    parts = {name: getattr(game, name).detach() for name in ("A", "B", "Q", "R", "M")}
    weights = rule.weights if rule.weights is None else rule.weights.detach()
    if batch:
        parts = {name: part.flatten(0, len(batch) - 1) for name, part in parts.items()}
        if weights is not None:
            weights = weights.expand(*batch, weights.shape[-1]).flatten(0, len(batch) - 1)

    def pick(index: Tensor | None) -> tuple[LQGame, StageRule]:
        if index is None:
            chosen, share = parts, weights
        else:
            chosen = {name: part[index] for name, part in parts.items()}
            share = None if weights is None else weights[index]
        some = LQGame(control_slices=game.control_slices, **chosen)
        return some, replace(rule, weights=share)

    return pick
