r"""Stages choose the lengths of their moves together.

Each stage t has the direction `d_t = -M_t^{-1} m_t` (m the averaged gradient), of natural length
`n_t = sqrt(-m_t' d_t)`. The stages are players with one cost, and each chooses one number, the
multiple `b_t` of its normalised direction `d_t / n_t`. In the Gauss-Newton model of the loss their
stage game is

    min_b  -n' b + 1/2 b' (H + r mean(diag H) I) b,
    H_ts = (1/B) sum_{c,k} (z_tck' d_t) (z_sck' d_s) / (n_t n_s)

with k columns z_tck for each sample c: the entries off the diagonal of H are what the stages' moves
do to each other, which no block-diagonal curvature sees. The cooperative solution is one linear
system of the size of the number of stages. H is averaged over the steps that measure it; between
them it keeps its last value. A sample that is about to change its class can have hundreds of times
the curvature of all others, over a distance far smaller than a step. Where measurements are rare,
such a batch would hold the steps down for long: what it says is scaled down until its trace is at
most `growth` times that of the average.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ocngame.solvers.ocnopt.step_rule import Situation

__all__ = ["TINY", "averaged_model", "cooperative_lengths", "inner_products"]

TINY = torch.finfo(torch.float32).tiny
"""What is smaller is taken for zero."""


def averaged_model(
    situation: Situation,
    scale: Tensor,
    memory: Mapping[str, Tensor],
    keep: float,
    growth: float = math.inf,
) -> dict[str, Tensor]:
    """Average H over the steps that measure columns.

    Args:
        situation: What the step rule is told; its first directions are used.
        scale: `1 / n`, one entry per stage.
        memory: With "model" and "count" of the last step, where there was one.
        keep: Memory of H, in [0, 1).
        growth: Largest trace of a batch's H, in multiples of the average's.

    Returns:
        "model", shape (stages, stages), and "count", to be put into the memory; empty where nothing
        was measured.
    """
    if situation.columns is None:
        return {}
    images = [
        z.inner(d).flatten()
        for z, d in zip(situation.columns, situation.directions[0], strict=True)
    ]
    image = torch.stack(images).double() * scale[:, None]
    model = image @ image.mT / situation.columns[0].count[1]
    count = memory["count"] + 1 if "count" in memory else scale.new_tensor(1.0)
    if "model" in memory:
        if math.isfinite(growth):
            most = growth * memory["model"].trace()
            part = (most / model.trace().clamp_min(TINY)).clamp_max(1.0)
            model = model * torch.where(most > 0, part, 1.0)
        model = memory["model"].lerp(model, (1 / count).clamp_min(1 - keep))
    return {"model": model, "count": count}


def cooperative_lengths(model: Tensor, natural: Tensor, ridge: float) -> Tensor:
    """Solve the stage game of the lengths.

    Args:
        model: H.
        natural: n, one entry per stage.
        ridge: r.

    Returns:
        b, one entry per stage.
    """
    shift = ridge * model.diagonal().mean().clamp_min(TINY)
    eye = torch.eye(len(natural), dtype=natural.dtype, device=natural.device)
    return torch.linalg.solve(model + shift * eye, natural)


def inner_products(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    """Give the inner products of the stages, in float64.

    Args:
        left: One tensor per stage.
        right: The same shapes.

    Returns:
        One entry per stage.
    """
    return torch.stack(
        [torch.dot(a.flatten(), b.flatten()) for a, b in zip(left, right, strict=True)]
    ).double()
