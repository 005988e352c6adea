r"""Directions of a network game: the shared Bellman recursion, in sample space.

Open loop (no feedback) is the preconditioned gradient `d_t = -M_t^{-1} p_t`. With feedback the
backward pass runs over the stages in column coordinates (see `ocngame.bellman.sample_space`) and
the forward sweep moves stage after stage, carrying the coordinates `s`:

* stacked: one value function for the batch; columns carry `1/sqrt(B)`, the gradient `1/B`; `M` is
  the metric of the running cost (`exact`), or already stands for all of Q_uu;
* per sample: B value functions share M; every sample contributes its own policy and the control
  moves by their mean, `du_t = (1/B) sum_b (k_b + K_b dx_b)`.

The sweep carries `s` by the linearised dynamics, `s <- s + Z_u' du`, or measures it on the moved
network (`LiveRollout`), which is the second forward pass of differential dynamic programming.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap

import torch
from torch import Tensor

from ocngame.bellman import (
    AffinePolicy,
    SampleSpaceStage,
    backward_pass,
    forward_sweep,
    terminal_value,
)
from ocngame.curvature import CurvatureOperator
from ocngame.games.live_rollout import LiveRollout
from ocngame.linalg import Columns, count_negative

__all__ = ["Directions", "SampleSpaceGame", "open_loop", "per_sample_game", "stacked_game"]


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


@dataclass(frozen=True)
class SampleSpaceGame:
    """A network game in column coordinates.

    Attributes:
        stages: The stage games, in forward order.
        gradients: Gradient columns of each stage: the mean gradient as a (o, i) matrix (stacked),
            or per-sample columns.
        columns: Columns of each stage in the scale of the recursion.
        operators: Curvature M of each stage.
    """

    stages: list[SampleSpaceStage]
    gradients: Sequence[Tensor] | Sequence[Columns]
    columns: list[Columns]
    operators: Sequence[CurvatureOperator]

    def move(self, t: int, y: Tensor) -> Tensor:
        """Turn sample-space controls into the control of stage t, `-M^{-1} [p, Z] y`.

        Args:
            t: Stage.
            y: Shape (1 + r,) stacked, or (B, 1 + R) per sample, whose mean is taken.

        Returns:
            The control move, shape (o, i).
        """
        gradient, columns = self.gradients[t], self.columns[t]
        if isinstance(gradient, Columns):
            y = y.mT / columns.count[1]
            total = gradient.combine(y[:1]) + columns.combine(y[1:])
        else:
            total = y[0] * gradient + columns.combine(y[1:].reshape(columns.count))
        return -self.operators[t].solve(total)

    def solve(self, live: LiveRollout | None = None) -> Directions:
        """Run the backward pass and the forward sweep.

        Args:
            live: Measures coordinates on the moved network, its output columns attached; None for
                the linearised dynamics.

        Returns:
            The directions.
        """
        like = self.columns[0].like
        per_sample = isinstance(self.gradients[0], Columns)
        width, samples = self.columns[0].count
        batch = (samples,) if per_sample else ()
        size = width if per_sample else width * samples
        result = backward_pass(self.stages, terminal_value(batch, size, like))
        moves: list[Tensor] = []

        def advance(t: int, s: Tensor, y: Tensor) -> Tensor:
            moves.append(self.move(t, y))
            if live is None:
                step = self.columns[t].inner(moves[t])
                return s + (step.mT if per_sample else step.flatten())
            step = live.advance(t, moves[t])
            if step is None:
                return s
            return step.mT if per_sample else step.flatten() * samples**-0.5

        forward_sweep(result.policies, advance, like.new_zeros(*batch, size))
        inner = [count_negative(value.v_xx) for value in result.values[1:-1]]
        return Directions(moves, torch.stack(inner).sum() if inner else None)

    def control_policies(self, policies: Sequence[AffinePolicy]) -> list[AffinePolicy]:
        """Express stacked policies in control coordinates; parameter-sized, for small games.

        Args:
            policies: Policies y(s) of the stages, from the backward pass.

        Returns:
            Policies with feedforward (o i) and feedback (o i, r).
        """

        def express(t: int, policy: AffinePolicy) -> AffinePolicy:
            joint = torch.cat([policy.feedforward.unsqueeze(-1), policy.feedback], -1)
            moves = torch.stack([self.move(t, y).flatten() for y in joint.mT], -1)
            return AffinePolicy(feedforward=moves[:, 0], feedback=moves[:, 1:])

        return list(starmap(express, enumerate(policies)))


def stacked_game(
    gradients: Sequence[Tensor],
    columns: Sequence[Columns],
    operators: Sequence[CurvatureOperator],
    exact: bool,
) -> SampleSpaceGame:
    """Make the game of the stacked batch.

    Args:
        gradients: Mean gradients, shape (o, i) each.
        columns: Per-sample columns of each stage, R for each of B samples.
        operators: Curvature M of each stage.
        exact: Whether M is the running cost's metric alone, so that the batch's own columns are
            the rest of Q_uu; the solution then is the damped Gauss-Newton step of all stages
            jointly.

    Returns:
        The game.
    """
    scaled = [stage.scaled(stage.count[1] ** -0.5) for stage in columns]
    stages = []
    for gradient, z, op in zip(gradients, scaled, operators, strict=True):
        solved = op.solve(gradient)
        gram = _bordered(op.inverse_gram(z), z.inner(solved), (gradient * solved).sum())
        stages.append(SampleSpaceStage(gram=gram, exact=exact))
    return SampleSpaceGame(stages, gradients, scaled, operators)


def per_sample_game(
    gradients: Sequence[Columns],
    columns: Sequence[Columns],
    operators: Sequence[CurvatureOperator],
) -> SampleSpaceGame:
    """Make B games, one per sample, that share the control curvature.

    Args:
        gradients: Per-sample loss gradients of each stage, one column for each of B samples.
        columns: Per-sample columns of each stage, R for each of B samples.
        operators: Curvature M of each stage, standing for the mean of Q_uu over samples.

    Returns:
        The game.
    """
    stages = []
    for g, z, op in zip(gradients, columns, operators, strict=True):
        bordered = g.joined(z)
        stages.append(
            SampleSpaceStage(gram=op.inverse_gram(bordered, per_sample=True), exact=False)
        )
    return SampleSpaceGame(stages, gradients, list(columns), operators)


def _bordered(inner: Tensor, mixed: Tensor, corner: Tensor) -> Tensor:
    mixed = mixed.flatten()
    top = torch.cat([corner.reshape(1, 1), mixed.unsqueeze(0)], dim=1)
    return torch.cat([top, torch.cat([mixed.unsqueeze(1), inner], dim=1)], dim=0)
