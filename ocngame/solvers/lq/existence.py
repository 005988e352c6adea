r"""Does the equilibrium exist? Certificates per stage and player, and the verdict on them.

A stage policy is an equilibrium of its stage if and only if every decision maker minimises a
strictly convex function (own curvature above zero) and the coupled system is regular. In open loop
the second-order condition is that of player i's whole sequence against fixed sequences of the
others; it is read off player i's own Riccati recursion, whose `q_uu,ii` are the Schur complements
of the condensed Hessian (see `ocngame.bellman.best_response`).

A number counts as above zero if it is so relative to the terms it was made of: rounding makes an
exact zero about eps times those.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import non_negative
from ocngame.bellman import StageCertificate
from ocngame.games import LQGame
from ocngame.solvers.lq.status import Status, code_of

__all__ = ["ExistenceRule", "Fault", "LQCertificate", "join", "judge", "judged_on", "own_scale"]


@dataclass(frozen=True, kw_only=True)
class ExistenceRule:
    """How far from the border an equilibrium has to be to count as existing.

    Attributes:
        curvature: Least own curvature, relative to the largest entry of the own block and of the
            control cost in it; 10 roundings of the dtype if None.
        pivot: Least pivot of the coupled system, relative to the largest; 10 roundings if None.
    """

    curvature: float | None = None
    pivot: float | None = None

    def __post_init__(self) -> None:
        """Validate the settings."""
        for name in ("curvature", "pivot"):
            value = getattr(self, name)
            if value is not None:
                non_negative(name, value)

    def resolved(self, dtype: torch.dtype) -> tuple[float, float]:
        """Give both thresholds.

        Args:
            dtype: The dtype whose rounding is the default's unit.

        Returns:
            The thresholds of curvature and pivot.
        """
        default = 10 * torch.finfo(dtype).eps
        return (
            default if self.curvature is None else self.curvature,
            default if self.pivot is None else self.pivot,
        )


@dataclass(frozen=True, kw_only=True)
class LQCertificate:
    """Evidence of existence, per stage and decision maker.

    Stages before one at fault are numbers without a meaning: the recursion went on from there.

    Attributes:
        own_curvature: Smallest eigenvalue of what each decision maker minimises at each stage,
            shape (..., D, T): D players, or one coalition. In open loop these are the pivots of
            each player's condensed Hessian.
        curvature_scale: What it is read against, shape (..., D, T).
        pivot: Ratio of the smallest to the largest pivot of the coupled system, shape (..., T).
        system: The coupled system of each stage, rows scaled to one, shape (..., T, m, m).
    """

    own_curvature: Tensor
    curvature_scale: Tensor
    pivot: Tensor
    system: Tensor

    @property
    def condition(self) -> Tensor:
        """Condition number of each stage's coupled system, shape (..., T); NaN where it is NaN."""
        system = self.system.detach()
        finite = torch.isfinite(system).all(-1).all(-1)
        eye = torch.eye(system.shape[-1], dtype=system.dtype, device=system.device)
        values = torch.linalg.svdvals(torch.where(finite[..., None, None], system, eye))
        return torch.where(finite, values[..., 0] / values[..., -1], torch.nan)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The verdict on every batch element.

    Attributes:
        codes: Positions in the list of `Status`, shape (...).
        stage: Stage at fault, the last one if there are several; -1 where there is none.
        player: Player at fault; -1 where there is none, or where all players share it.
    """

    codes: Tensor
    stage: Tensor
    player: Tensor


def join(stages: Sequence[StageCertificate], scale: Tensor) -> LQCertificate:
    """Join the certificates of the stages 0 .. T-1.

    Args:
        stages: One certificate per stage.
        scale: Size of the control cost in every decision maker's block, shape (..., D, T).

    Returns:
        The evidence of the whole game.
    """
    blocks = [
        torch.stack(parts, dim=-3) for parts in zip(*(s.curvature for s in stages), strict=True)
    ]
    regular = [stage.regular for stage in stages if stage.regular is not None]
    whole = StageCertificate(
        curvature=tuple(blocks),
        system=torch.stack([s.system for s in stages], dim=-3),
        pivots=torch.stack([stage.pivots for stage in stages], dim=-2),
        regular=torch.stack(regular, dim=-1) if regular else None,
    )
    return judged_on(whole, scale)


def judged_on(whole: StageCertificate, scale: Tensor) -> LQCertificate:
    """Give the evidence in a certificate of all stages.

    Args:
        whole: The certificate, T the last dimension of its batch.
        scale: Size of the control cost in every decision maker's block, shape (..., D, T).

    Returns:
        The evidence of the whole game.
    """
    sizes = [block.detach().abs().amax((-2, -1)) for block in whole.curvature]
    return LQCertificate(
        own_curvature=whole.own_curvature.mT,
        curvature_scale=torch.maximum(torch.stack(sizes, dim=-2), scale),
        pivot=whole.pivot,
        system=whole.system,
    )


def own_scale(game: LQGame, blocks: Sequence[tuple[int, slice]]) -> Tensor:
    """Give the size of the control cost in each decision maker's block.

    Args:
        game: The game.
        blocks: Player and slice of every decision maker.

    Returns:
        Largest entries, shape (..., D, T).
    """
    costs = game.R.detach()
    return torch.stack(
        [costs[..., i, :, block, block].abs().amax((-2, -1)) for i, block in blocks], dim=-2
    )


def judge(
    certificate: LQCertificate, rule: ExistenceRule, curvature: Status, system: Status
) -> Fault:
    """Give the verdict on every batch element.

    Args:
        certificate: The evidence.
        rule: How far from the border is far enough.
        curvature: Status where a curvature is not positive.
        system: Status where the coupled system is singular.

    Returns:
        The fault nearest to the end of the game, where the recursion met it first. At one stage a
        curvature comes before the system, and both before numbers that are not finite.
    """
    least_curvature, least_pivot = rule.resolved(certificate.pivot.dtype)
    flat = certificate.own_curvature <= least_curvature * certificate.curvature_scale
    singular = certificate.pivot <= least_pivot
    broken = ~torch.isfinite(certificate.pivot) | ~torch.isfinite(certificate.own_curvature).all(-2)
    codes = torch.zeros_like(certificate.pivot, dtype=torch.int64)
    codes = codes.masked_fill(broken, code_of(Status.NON_FINITE))
    codes = codes.masked_fill(singular, code_of(system))
    codes = codes.masked_fill(flat.any(-2), code_of(curvature))
    stages = torch.arange(codes.shape[-1], device=codes.device)
    stage = torch.where(codes != 0, stages, -1).amax(-1)
    index = stage.clamp_min(0).unsqueeze(-1)
    code = codes.gather(-1, index).squeeze(-1)
    guilty = flat.gather(-1, index.unsqueeze(-2).expand(*flat.shape[:-1], 1)).squeeze(-1)
    player = torch.where(
        code == code_of(curvature), guilty.to(torch.int64).argmax(-1), torch.full_like(code, -1)
    )
    return Fault(codes=code, stage=stage, player=player)
