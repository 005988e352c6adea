"""The functional core of OCNOpt: one step from a batch's derivatives to control moves."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ocngame.curvature import Curvature, State, rule_for
from ocngame.errors import NonFiniteError
from ocngame.games.live_rollout import LiveRollout
from ocngame.games.network_control import NetworkControl
from ocngame.linalg import Columns
from ocngame.solvers.ocnopt.config import Feedback, OCNOptConfig
from ocngame.solvers.ocnopt.damping import Judge
from ocngame.solvers.ocnopt.directions import (
    Directions,
    open_loop,
    per_sample_game,
    stacked_game,
)
from ocngame.solvers.ocnopt.fade import Level
from ocngame.solvers.ocnopt.step_rule import Proposal, Situation, StepLimit

__all__ = [
    "Derivatives",
    "SolverState",
    "StageState",
    "gradients_of",
    "init_state",
    "propose_move",
]

Cooperate = Callable[[list[Tensor], list[Tensor], Sequence[Columns] | None, float], list[Tensor]]


@dataclass(frozen=True, kw_only=True)
class Derivatives:
    """What one batch says of the controls.

    Attributes:
        gradients: Mean gradient of every stage, shape (o, i) each.
        columns: Columns of the output Hessian of every stage; None where they were not measured.
        samples: One gradient column per sample and stage; None where nothing needs them.
    """

    gradients: list[Tensor]
    columns: Sequence[Columns] | None = None
    samples: Sequence[Columns] | None = None


@dataclass(frozen=True)
class StageState:
    """What the solver remembers of one stage.

    Attributes:
        curvature: State of the curvature rule.
        last: Last move before the learning rate, shape (o, i); None if no part needs it.
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
        refreshed: The step that factorised the curvature last; -1 if none has.
        rates: Learning rate of every stage at the last move.
        level: Where the loss stood against the steps before.
        faded: Factor of remembered curvature that waits for the next measurement.
        memory: What the step rule remembers.
    """

    stages: list[StageState] = field(default_factory=list)
    step: int = 0
    damping: float = 1.0
    predicted: float = math.nan
    refreshed: int = -1
    rates: Sequence[float] = ()
    level: Level = field(default_factory=Level)
    faded: float = 1.0
    memory: Mapping[str, Tensor] = field(default_factory=dict)


def init_state(config: OCNOptConfig, controls: Sequence[NetworkControl]) -> SolverState:
    """Make the state before the first step.

    Args:
        config: Settings.
        controls: The controls of the network.

    Returns:
        The state.
    """
    stages = [
        StageState(_rule(config, control).init(control.shape, control.parameters[0].detach()))
        for control in controls
    ]
    return SolverState(stages, damping=config.damping.initial)


def gradients_of(controls: Sequence[NetworkControl]) -> list[Tensor]:
    """Read the gradients of the controls from `.grad`; where there is none, it is zero.

    Args:
        controls: The controls of the stages.

    Returns:
        One gradient per stage, shape (o, i).
    """
    return [
        control.join(
            [torch.zeros_like(p) if p.grad is None else p.grad for p in control.parameters]
        ).detach()
        for control in controls
    ]


def propose_move(
    config: OCNOptConfig,
    state: SolverState,
    controls: Sequence[NetworkControl],
    derivatives: Derivatives,
    limit: StepLimit,
    live: LiveRollout | None = None,
    cooperate: Cooperate | None = None,
) -> tuple[SolverState, Proposal, Directions]:
    """Compute the next move; nothing is written to the network.

    Args:
        config: Settings.
        state: Solver state.
        controls: The controls of the network.
        derivatives: Gradients and, where the step measures, columns of the batch.
        limit: Learning rates, and how far the loss can fall.
        live: Replays the batch for the forward sweep; None for the linear sweep.
        cooperate: Lets players of one stage move together, given the moves and gradients of all,
            their columns where they were measured, and the damping; None if none do.

    Returns:
        The state after the move, the move, and the directions it came from.

    Raises:
        NonFiniteError: if the move is not finite, as it is if the gradient is not.
    """
    gradients, columns = derivatives.gradients, derivatives.columns
    measured = columns is not None or not config.uses_columns
    level = Level() if config.fade is None else config.fade.level(state.level, limit.room)
    faded = state.faded * level.curvature
    refresh = measured and config.rhythm.refreshes(state.step, state.refreshed)
    stages, operators, averages = [], [], []
    for i, (control, stage, gradient) in enumerate(
        zip(controls, state.stages, gradients, strict=True)
    ):
        rule, curvature = _rule(config, control), stage.curvature
        if measured or not rule.needs_columns:
            if faded < 1:
                curvature = rule.faded(curvature, faded)
            curvature = rule.update(curvature, None if columns is None else columns[i], gradient)
        if refresh:
            curvature = rule.refresh(curvature, state.damping)
        average, unbiased = _average(config, stage, gradient, state.step, level.gradients)
        stages.append(StageState(curvature, stage.last, average))
        averages.append(unbiased)
        operators.append(rule.operator(curvature, state.damping))
    directions = open_loop(averages, operators)
    if cooperate is not None:
        moves = cooperate(directions.moves, averages, columns, state.damping)
        directions = Directions(moves, directions.removed)
    candidates = [directions.moves]
    if columns is not None and config.feedback is not Feedback.OFF:
        if config.feedback is Feedback.PER_SAMPLE:
            assert derivatives.samples is not None  # noqa: S101 - the optimizer gives them
            game = per_sample_game(derivatives.samples, columns, operators)
        else:
            exact = config.feedback is Feedback.EXACT
            game = stacked_game(averages, columns, operators, exact)
        directions = game.solve(live)
        candidates.insert(0, directions.moves)
    last = [stage.last for stage in stages if stage.last is not None]
    proposal = config.step.propose(
        Situation(
            gradients=gradients,
            averages=averages,
            directions=candidates,
            last=last or None,
            columns=columns,
            damping=state.damping,
            limit=limit,
            fading=level.curvature,
            overstated=level.overstated,
            memory=state.memory,
        )
    )
    if not proposal.finite:
        raise NonFiniteError("move: expected finite numbers, got NaN or infinity")
    keep = config.step.needs_last or config.damping.judge is Judge.NEXT_BATCH
    stages = [
        StageState(stage.curvature, move if keep else None, stage.average)
        for stage, move in zip(stages, proposal.moves, strict=True)
    ]
    new = SolverState(
        stages,
        state.step + 1,
        state.damping,
        proposal.predicted,
        state.step if refresh else state.refreshed,
        limit.rates,
        level,
        1.0 if measured else faded,
        proposal.memory,
    )
    return new, proposal, directions


def _rule(config: OCNOptConfig, control: NetworkControl) -> Curvature:
    return rule_for(config.curvature, control.factored)


def _average(
    config: OCNOptConfig, stage: StageState, gradient: Tensor, step: int, fading: float
) -> tuple[Tensor | None, Tensor]:
    beta = config.gradient_decay
    if beta == 0:
        return None, gradient
    old = torch.zeros_like(gradient) if stage.average is None else stage.average
    average = torch.lerp(old if fading == 1 else fading * old, gradient, 1 - beta)
    return average, average / (1 - beta ** (step + 1))
