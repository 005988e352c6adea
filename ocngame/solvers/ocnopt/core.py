"""The functional core of OCNOpt: one step from a recorded rollout to control moves."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ocngame.curvature import OutputHessian, State, rule_for
from ocngame.errors import NonFiniteError
from ocngame.games.live_rollout import LiveRollout
from ocngame.games.rollout import Derivatives, Rollout
from ocngame.linalg import Columns
from ocngame.solvers.ocnopt.config import Feedback, OCNOptConfig
from ocngame.solvers.ocnopt.directions import (
    Directions,
    open_loop,
    per_sample_game,
    stacked_game,
)
from ocngame.solvers.ocnopt.steps import Proposal, StepLimit

__all__ = ["SolverState", "StageState", "init_state", "propose_move"]

Cooperate = Callable[[list[Tensor], list[Tensor], list[Columns], float], list[Tensor]]


@dataclass(frozen=True)
class StageState:
    """What the solver remembers of one stage.

    Attributes:
        curvature: State of the curvature rule.
        last: Last move before the learning-rate scale, shape (o, i), or None.
        average: Running average of gradients, shape (o, i), or None.
    """

    curvature: State
    last: Tensor | None = None
    average: Tensor | None = None


@dataclass(frozen=True)
class SolverState:
    """What the solver remembers.

    Attributes:
        stages: One state per control stage.
        step: Number of accepted steps.
        damping: lambda.
        predicted: Change of the batch loss that the last move promised, NaN without a model.
        scale: Learning rate at which the last move was made.
    """

    stages: list[StageState] = field(default_factory=list)
    step: int = 0
    damping: float = 1.0
    predicted: float = math.nan
    scale: float = 1.0


def init_state(config: OCNOptConfig, rollout: Rollout) -> SolverState:
    """Make the state before the first step.

    Args:
        config: Settings.
        rollout: A recorded rollout of the network.

    Returns:
        The state.
    """
    stages = [
        StageState(
            rule_for(config.curvature, control.factored).init(
                control.shape, control.parameters[0].detach()
            )
        )
        for control in rollout.controls
    ]
    return SolverState(stages, damping=config.damping.initial)


def propose_move(
    config: OCNOptConfig,
    state: SolverState,
    rollout: Rollout,
    hessian: OutputHessian | None,
    output_gradient: Tensor,
    generator: torch.Generator,
    limit: StepLimit,
    decay: Callable[[list[Tensor]], list[Tensor]] | None = None,
    live: LiveRollout | None = None,
    cooperate: Cooperate | None = None,
) -> tuple[SolverState, Proposal, Directions, list[Tensor | None]]:
    """Compute the next move; nothing is written to the network.

    Args:
        config: Settings.
        state: Solver state.
        rollout: Recorded rollout of the batch.
        hessian: Output Hessian of the loss; None if no part of the settings needs columns.
        output_gradient: Gradient of the mean loss at the output, shape of the output.
        generator: Source of random signs, on the CPU.
        limit: Learning rate, and how far the loss can fall.
        decay: Adds coupled weight decay to the mean gradients, or None.
        live: Replays the batch for the forward sweep; None for the linear sweep.
        cooperate: Lets players of one stage move together, given all moves, gradients, columns and
            the damping; None if none do.

    Returns:
        The state after the move, the move, the directions it came from, and the gradients of the
        parameters that are no control.

    Raises:
        NonFiniteError: if the gradient or the move is not finite.
    """
    derived = _differentiate(config, rollout, hessian, output_gradient, generator, live)
    gradient_columns, columns = derived.gradients, derived.columns
    samples = gradient_columns[0].count[1]
    ones = output_gradient.new_full((1, samples), 1.0 / samples)
    gradients = [g.combine(ones) for g in gradient_columns]
    found = [*gradients, *(g for g in derived.others if g is not None)]
    if not bool(torch.isfinite(torch.stack([g.sum() for g in found])).all()):
        raise NonFiniteError("gradient: expected finite numbers, got NaN or infinity")
    if decay is not None:
        gradients = decay(gradients)
    refresh = state.step % config.refresh_every == 0
    stages, operators, averages = [], [], []
    for i, (stage, gradient) in enumerate(zip(state.stages, gradients, strict=True)):
        z = columns[i] if columns is not None else None
        rule = rule_for(config.curvature, rollout.controls[i].factored)
        curvature = rule.update(stage.curvature, z, gradient)
        if refresh:
            curvature = rule.refresh(curvature, state.damping)
        average, unbiased = _average(config, stage, gradient, state.step)
        stages.append(StageState(curvature, stage.last, average))
        averages.append(unbiased)
        operators.append(rule.operator(curvature, state.damping))
    directions = open_loop(averages, operators)
    if cooperate is not None and columns is not None:
        moves = cooperate(directions.moves, averages, columns, state.damping)
        directions = Directions(moves, directions.removed)
    candidates = [directions.moves]
    if columns is not None and config.feedback is not Feedback.OFF:
        if config.feedback is Feedback.PER_SAMPLE:
            game = per_sample_game(gradient_columns, columns, operators)
        else:
            exact = config.feedback is Feedback.EXACT
            game = stacked_game(averages, columns, operators, exact)
        directions = game.solve(live)
        candidates.insert(0, directions.moves)
    last = [stage.last for stage in stages if stage.last is not None]
    proposal = config.step.propose(
        gradients, candidates, last or None, columns, state.damping, limit
    )
    if not bool(torch.isfinite(torch.stack([move.sum() for move in proposal.moves])).all()):
        raise NonFiniteError("move: expected finite numbers, got NaN or infinity")
    stages = [
        StageState(stage.curvature, move, stage.average)
        for stage, move in zip(stages, proposal.moves, strict=True)
    ]
    return SolverState(stages, state.step + 1, state.damping), proposal, directions, derived.others


def _differentiate(
    config: OCNOptConfig,
    rollout: Rollout,
    hessian: OutputHessian | None,
    output_gradient: Tensor,
    generator: torch.Generator,
    live: LiveRollout | None,
) -> Derivatives:
    """Give per-sample gradients and columns of every stage."""
    gradient = output_gradient.detach() * output_gradient.shape[0]
    columns = None
    if config.needs_columns and hessian is not None:
        output = rollout.output.detach()
        columns = config.columns.columns(hessian, output, gradient, generator)
        if live is not None:
            live.attach(columns)
    return rollout.differentiate(gradient, columns)


def _average(
    config: OCNOptConfig, stage: StageState, gradient: Tensor, step: int
) -> tuple[Tensor | None, Tensor]:
    beta = config.gradient_decay
    if beta == 0:
        return None, gradient
    old = torch.zeros_like(gradient) if stage.average is None else stage.average
    average = beta * old + (1 - beta) * gradient
    return average, average / (1 - beta ** (step + 1))
