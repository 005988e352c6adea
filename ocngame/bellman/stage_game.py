r"""The stage game: every player's quadratic Q-function is given, a joint affine policy is sought.

With control slices `u = (u^1, .., u^N)`, row block i of player i's own Q-function gives the
stationarity condition of each information structure:

* feedback Nash, zero-sum (Basar & Olsder, Corollary 6.1):
  `q_u,i^(i) + sum_j q_uu,ij^(i) du^j + q_ux,i^(i) dx = 0` for all i, one coupled system
  `S du = -(s + Y dx)` whose row block i is taken from player i;
* own block: the same with `S` reduced to its diagonal blocks;
* cooperative with weights w: `sum_i w_i Q^i` is minimised jointly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.bellman.expansions import QExpansion
from ocngame.bellman.policy import AffinePolicy
from ocngame.errors import InvalidInputError
from ocngame.games.information import InformationStructure

__all__ = ["StageCertificate", "StageRule", "solve_stage"]


@dataclass(frozen=True, kw_only=True)
class StageRule:
    """Who moves at a stage, and under which information.

    Attributes:
        slices: Each player's slice of the joint control.
        information: The information structure.
        weights: Weights of the players' costs, for cooperative play (all one if None).
    """

    slices: tuple[slice, ...]
    information: InformationStructure = InformationStructure.FEEDBACK
    weights: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class StageCertificate:
    """What the stage system said about existence.

    Attributes:
        own_curvature: Smallest eigenvalue of each player's own control block of its own
            Q-function, shape (..., N); a minimiser needs it positive.
        system: The matrix S of the stage system, shape (..., m, m).
    """

    own_curvature: Tensor
    system: Tensor


def solve_stage(q: QExpansion, rule: StageRule) -> tuple[AffinePolicy, StageCertificate]:
    """Solve one stage game.

    Args:
        q: Expansion of every player's Q-function.
        rule: Control slices, information structure and weights.

    Returns:
        The joint policy and the certificate. A singular system gives non-finite policies, which
        the caller must reject: nothing is shifted here.

    Raises:
        InvalidInputError: if the information structure has no backward recursion.
    """
    own = torch.stack(
        [
            torch.linalg.eigvalsh(q.q_uu[..., i, block, block])[..., 0]
            for i, block in enumerate(rule.slices)
        ],
        dim=-1,
    )
    system, slope, mixed = _stationarity(q, rule)
    right = torch.cat([slope.unsqueeze(-1), mixed], dim=-1)
    solution, info = torch.linalg.solve_ex(system, right)
    solution = torch.where((info != 0)[..., None, None], torch.nan, solution)
    policy = AffinePolicy(feedforward=-solution[..., 0], feedback=-solution[..., 1:])
    return policy, StageCertificate(own_curvature=own, system=system)


def _stationarity(q: QExpansion, rule: StageRule) -> tuple[Tensor, Tensor, Tensor]:
    """Give S, s and Y of the stage condition `S du + s + Y dx = 0`."""
    match rule.information:
        case InformationStructure.COOPERATIVE:
            n = q.q_u.shape[-2]
            w = torch.ones(n).to(q.q_u) if rule.weights is None else rule.weights.to(q.q_u)
            return (
                (w[:, None, None] * q.q_uu).sum(-3),
                (w[:, None] * q.q_u).sum(-2),
                (w[:, None, None] * q.q_ux).sum(-3),
            )
        case (
            InformationStructure.FEEDBACK
            | InformationStructure.ZERO_SUM
            | InformationStructure.OWN_BLOCK
        ):
            rows = list(enumerate(rule.slices))
            system = torch.cat([q.q_uu[..., i, block, :] for i, block in rows], dim=-2)
            if rule.information is InformationStructure.OWN_BLOCK:
                blocks = [torch.ones(b.stop - b.start, b.stop - b.start) for b in rule.slices]
                system = system * torch.block_diag(*blocks).to(system)
            return (
                system,
                torch.cat([q.q_u[..., i, block] for i, block in rows], dim=-1),
                torch.cat([q.q_ux[..., i, block, :] for i, block in rows], dim=-2),
            )
        case _:
            raise InvalidInputError(
                f"information: {rule.information.value!r} has no stage game with value functions; "
                "expected feedback, own_block, cooperative or zero_sum"
            )


def slices_of(sizes: Sequence[int]) -> tuple[slice, ...]:
    """Give consecutive slices of the joint control for the players' control sizes.

    Args:
        sizes: Control size of each player.

    Returns:
        One slice per player, covering `range(sum(sizes))`.
    """
    stops = torch.tensor(sizes).cumsum(0).tolist()
    return tuple(slice(stop - size, stop) for stop, size in zip(stops, sizes, strict=True))
