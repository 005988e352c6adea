"""Carry moves out on a network, take them back for a judgement, and move what no stage covers."""

# torch's own optimizers are written with these functions; one call takes all stages.
# pyright: reportPrivateImportUsage=false

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ocngame.errors import NonFiniteError
from ocngame.games.network_control import NetworkControl
from ocngame.solvers.ocnopt.core import SolverState
from ocngame.solvers.ocnopt.decay import Decay, decay_and_move
from ocngame.solvers.ocnopt.groups import Rates

__all__ = ["apply_moves", "control_sizes", "judged_ratio", "move_others"]


@torch.no_grad()
def apply_moves(
    controls: Sequence[NetworkControl], moves: Sequence[Tensor], rates: Rates, kind: Decay
) -> None:
    """Move the controls, after their decoupled weight decay.

    Args:
        controls: The controls of the stages.
        moves: Moves before the learning rates, shape (o, i) each.
        rates: Learning rates and weight decays.
        kind: Which entries decay.
    """
    parameters = [p for control in controls for p in control.parameters]
    parts = [
        part for control, move in zip(controls, moves, strict=True) for part in control.split(move)
    ]
    decay_and_move(
        parameters,
        parts,
        [rates.lr(p) for p in parameters],
        [rates.decay(p) for p in parameters],
        kind,
    )


@torch.no_grad()
def control_sizes(controls: Sequence[NetworkControl]) -> Tensor:
    """Give the Frobenius norms of the controls, at least those of torch's usual first weights.

    Those have norm `sqrt(o / 3)` for o outputs: a control that starts from zeros can move as well.

    Args:
        controls: The controls of the stages.

    Returns:
        One entry per stage, float64.
    """
    owners = [i for i, control in enumerate(controls) for _ in control.parameters]
    norms = torch._foreach_norm([p for control in controls for p in control.parameters])
    squares = torch.stack(norms).double().square_()
    found = squares.new_zeros(len(controls)).index_add_(
        0, torch.tensor(owners, device=squares.device), squares
    )
    usual = squares.new_tensor([control.shape[0] / 3 for control in controls])
    return torch.maximum(found, usual).sqrt_()


@torch.no_grad()
def move_others(optimizer: Any, parameters: Sequence[nn.Parameter], rates: Rates) -> float:
    """Move the parameters that no stage covers, by the fallback rule.

    Args:
        optimizer: The optimizer; its state of these parameters is advanced.
        parameters: The parameters, gradients in `.grad`.
        rates: Learning rates and weight decays.

    Returns:
        The first-order change of the loss.

    Raises:
        NonFiniteError: if a gradient is not finite; nothing has moved then.
    """
    trained = [p for p in parameters if p.requires_grad and p.grad is not None]
    if not trained:
        return 0.0
    gradients = [p.grad for p in trained if p.grad is not None]
    if not bool(torch.isfinite(torch.stack([g.sum() for g in gradients])).all()):
        raise NonFiniteError("gradient: expected finite numbers, got NaN or infinity")
    slope = 0.0
    for parameter, gradient in zip(trained, gradients, strict=True):
        state = optimizer.config.fallback.advance(optimizer.state[parameter], gradient)
        state["last"] = rates.lr(parameter) * state["last"]
        optimizer.state[parameter] = state
        slope += float((gradient * state["last"]).sum())
    decay_and_move(
        trained,
        [optimizer.state[p]["last"] for p in trained],
        [1.0] * len(trained),
        [rates.decay(p) for p in trained],
        optimizer.config.decay,
    )
    return slope


def judged_ratio(
    optimizer: Any,
    state: SolverState,
    controls: Sequence[NetworkControl],
    others: Sequence[nn.Parameter],
    loss: float,
    measure: Callable[[], Tensor],
) -> tuple[SolverState, float]:
    """Judge the last move on a new batch by taking it back for one forward pass.

    Args:
        optimizer: The optimizer.
        state: Solver state.
        controls: The controls of the stages.
        others: Parameters that no stage covers.
        loss: Loss of the new batch after the last move.
        measure: Gives the loss of the new batch.

    Returns:
        The state with the damping adjusted, and the reduction ratio; NaN if nothing was promised.
    """
    if not state.predicted < 0:
        return state, math.nan
    moved, back = [], []
    for control, stage, rate in zip(controls, state.stages, state.rates, strict=True):
        if stage.last is None:
            continue
        for parameter, part in zip(control.parameters, control.split(stage.last), strict=True):
            moved.append(parameter)
            back.append(parameter.detach() - rate * part)
    for parameter in others:
        entry = optimizer.state.get(parameter, {})
        if "last" in entry:
            moved.append(parameter)
            back.append(parameter.detach() - entry["last"])
    with _replaced(moved, back):
        ratio = (loss - float(measure())) / state.predicted
    adjusted = optimizer.config.damping.adjusted(state.damping, ratio)
    return replace(state, damping=adjusted), ratio


@contextmanager
def _replaced(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> Iterator[None]:
    """Let parameters have other values for a while; what autograd has saved of them stays."""
    kept = [parameter.data for parameter in parameters]
    try:
        for parameter, value in zip(parameters, values, strict=True):
            parameter.data = value
        yield
    finally:
        for parameter, value in zip(parameters, kept, strict=True):
            parameter.data = value
