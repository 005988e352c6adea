r"""Directions of a network game: the shared Bellman recursion, in sample space.

Open loop (no feedback) is the preconditioned gradient `d_t = -M_t^{-1} p_t`. With feedback the
backward pass runs over the stages in column coordinates (see `ocngame.bellman.sample_space`) and
the forward sweep moves stage after stage, carrying the coordinates `s`:

* stacked: one value function for the batch; columns carry `1/sqrt(B)`, the gradient `1/B`; `M` is
  the metric of the running cost (`exact`), or already stands for all of Q_uu;
* per sample: B value functions share M; every sample contributes its own policy and the control
  moves by their mean, `du_t = (1/B) sum_b (k_b + K_b dx_b)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.bellman import AffinePolicy, SampleSpaceStage, backward_pass, terminal_value
from ocngame.curvature import CurvatureOperator
from ocngame.linalg import OuterColumns

__all__ = ["Directions", "open_loop", "per_sample_feedback", "stacked_feedback"]


@dataclass(frozen=True)
class Directions:
    """Control moves of every stage.

    Attributes:
        moves: du of every stage, shape (o, i).
        removed: Number of negative curvatures that the backward pass had to remove.
    """

    moves: list[Tensor]
    removed: Tensor | None = None


def open_loop(gradients: Sequence[Tensor], operators: Sequence[CurvatureOperator]) -> Directions:
    """Give `-M^{-1} gradient` for every stage.

    Args:
        gradients: Mean gradients, shape (o, i) each.
        operators: Curvature of each stage.

    Returns:
        The directions.
    """
    return Directions([-op.solve(g) for g, op in zip(gradients, operators, strict=True)])


def stacked_feedback(
    gradients: Sequence[Tensor],
    columns: Sequence[OuterColumns],
    operators: Sequence[CurvatureOperator],
    exact: bool,
) -> Directions:
    """Run the recursion over the stacked batch.

    Args:
        gradients: Mean gradients, shape (o, i) each.
        columns: Per-sample columns of each stage, R for each of B samples.
        operators: Curvature M of each stage.
        exact: Whether M is the running cost's metric alone, so that the batch's own columns are
            the rest of Q_uu.

    Returns:
        The directions; with `exact` they are the damped Gauss-Newton step of all stages jointly.
    """
    samples = columns[0].count[1]
    scaled = [stage.scaled(samples**-0.5) for stage in columns]
    stages = [
        SampleSpaceStage(gram=_bordered(op.inverse_gram(z), z.inner(s), (g * s).sum()), exact=exact)
        for g, z, op, s in _solved(gradients, scaled, operators)
    ]
    size = stages[0].gram.shape[-1] - 1
    result = backward_pass(stages, terminal_value((), size, gradients[0]))
    s = gradients[0].new_zeros(size)
    moves = []
    for gradient, z, op, policy in zip(gradients, scaled, operators, result.policies, strict=True):
        y = policy(s)
        du = -op.solve(y[0] * gradient + z.combine(y[1:].reshape(z.count)))
        s = s + z.inner(du).flatten()
        moves.append(du)
    return Directions(moves, torch.stack(result.certificates).sum())


def per_sample_feedback(
    gradients: Sequence[OuterColumns],
    columns: Sequence[OuterColumns],
    operators: Sequence[CurvatureOperator],
) -> Directions:
    """Run one recursion per sample with a shared control curvature and average the policies.

    Args:
        gradients: Per-sample loss gradients of each stage, one column for each of B samples.
        columns: Per-sample columns of each stage, R for each of B samples.
        operators: Curvature M of each stage, standing for the mean of Q_uu over samples.

    Returns:
        The directions.
    """
    bordered = [
        OuterColumns(torch.cat([g.left, z.left]), z.right)
        for g, z in zip(gradients, columns, strict=True)
    ]
    stages = [
        SampleSpaceStage(gram=op.inverse_gram(z, per_sample=True), exact=False)
        for z, op in zip(bordered, operators, strict=True)
    ]
    width, samples = columns[0].count
    result = backward_pass(stages, terminal_value((samples,), width, columns[0].left))
    s = columns[0].left.new_zeros(samples, width)
    moves = []
    for z, op, policy in zip(bordered, operators, result.policies, strict=True):
        y: Tensor = policy(s)
        du = -op.solve(z.combine(y.mT) / samples)
        s = s + z.inner(du).mT[:, 1:]
        moves.append(du)
    return Directions(moves, torch.stack(result.certificates).sum())


def bordered_policies(
    columns: Sequence[OuterColumns], policies: Sequence[AffinePolicy]
) -> list[AffinePolicy]:
    """Give stage policies in control coordinates, for small games and tests.

    Args:
        columns: Solved bordered columns `M^{-1} [p, Z]`, R + 1 for each of B samples.
        policies: Policies y(s) of each stage.

    Returns:
        Policies with feedforward (..., o i) and feedback (..., o i, r).
    """
    result = []
    for z, policy in zip(columns, policies, strict=True):
        basis = -z.dense.flatten(2).permute(1, 2, 0)
        result.append(
            AffinePolicy(
                feedforward=(basis @ policy.feedforward.unsqueeze(-1)).squeeze(-1),
                feedback=basis @ policy.feedback,
            )
        )
    return result


def _solved(gradients, columns, operators):
    for gradient, z, op in zip(gradients, columns, operators, strict=True):
        yield gradient, z, op, op.solve(gradient)


def _bordered(inner: Tensor, mixed: Tensor, corner: Tensor) -> Tensor:
    mixed = mixed.flatten()
    top = torch.cat([corner.reshape(1, 1), mixed.unsqueeze(0)], dim=1)
    return torch.cat([top, torch.cat([mixed.unsqueeze(1), inner], dim=1)], dim=0)
