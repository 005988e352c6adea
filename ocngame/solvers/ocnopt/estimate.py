"""What training will take, before it starts: bytes of state, and work compared with backprop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ocngame.games.network_control import NetworkControl
from ocngame.games.replay import RandomState, replayed
from ocngame.solvers.ocnopt.batch import BatchReader
from ocngame.solvers.ocnopt.core import Derivatives, SolverState, gradients_of, propose_move
from ocngame.solvers.ocnopt.step_rule import StepLimit

__all__ = ["Estimate", "estimate_work"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a step takes.

    Attributes:
        state_bytes: Bytes that the solver keeps between steps.
        bytes_per_parameter: The same for each trained parameter.
        work_ratio: Floating-point operations of a step, averaged over the rhythm of measurements,
            in units of one forward and backward pass.
        first_work_ratio: The same for a step at the start that measures and factorises.
        uncovered: Names of the parameters that no stage covers, which move by the fallback rule.
    """

    state_bytes: int
    bytes_per_parameter: float
    work_ratio: float
    first_work_ratio: float
    uncovered: tuple[str, ...]


def estimate_work(
    reader: BatchReader,
    state: SolverState,
    controls: Sequence[NetworkControl],
    others: Sequence[Tensor],
    closure: Callable[[], Tensor],
    uncovered: tuple[str, ...],
) -> Estimate:
    """Count bytes and operations of a step without making one.

    Products of matrices and convolutions are counted as they run, factorisations by their formula
    (2 n^3 operations for a Cholesky factor and the inverse from it).

    Args:
        reader: Reads a batch.
        state: The solver's state; a first one will do.
        controls: The controls of the stages.
        others: Parameters that no stage covers.
        closure: Runs the model once on a batch and returns the loss.
        uncovered: Their names.

    Returns:
        The estimate; network, gradients and random generators are left as they were.
    """
    model, config = reader.model, reader.config
    always = config.measures(10**6) and config.measures(10**6 + 1)
    kept = [(parameter, parameter.grad) for parameter in model.parameters()]
    signs, start = reader.generator.get_state(), RandomState.now()
    try:
        with replayed(model, start):
            plain = _count(lambda: closure().backward())
            young, new = _step(
                reader, replace(state, step=0, refreshed=-1), controls, closure, True
            )
            old = replace(new, step=10**6, refreshed=10**6 - 1)
            usual, _ = _step(reader, old, controls, closure, always)
            measured, _ = _step(reader, old, controls, closure, True)
    finally:
        reader.generator.set_state(signs)
        for parameter, grad in kept:
            parameter.grad = grad
    inverse = sum(_inversion(stage.curvature) for stage in new.stages)
    every = 1 if always else config.rhythm.measure_every
    average = usual + (measured - usual) / every + inverse / config.rhythm.refresh_every
    size = sum(_bytes(stage) for stage in new.stages) + sum(3 * _bytes(p) for p in others)
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return Estimate(
        state_bytes=size,
        bytes_per_parameter=size / count,
        work_ratio=average / plain,
        first_work_ratio=(young + inverse) / plain,
        uncovered=uncovered,
    )


def _step(
    reader: BatchReader,
    state: SolverState,
    controls: Sequence[NetworkControl],
    closure: Callable[[], Tensor],
    due: bool,
) -> tuple[float, SolverState]:
    made: list[SolverState] = []

    def step() -> None:
        for parameter in reader.model.parameters():
            parameter.grad = None
        batch = reader.read(closure, due)
        derivatives = Derivatives(
            gradients=gradients_of(controls), columns=batch.columns, samples=batch.samples
        )
        limit = StepLimit(rates=[1.0] * len(controls), loss=float(batch.loss), bound=None)
        with torch.no_grad():
            made.append(propose_move(reader.config, state, controls, derivatives, limit)[0])

    work = _count(step)
    return work, made[0]


def _count(run: Callable[[], Any]) -> float:
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def _inversion(curvature: dict[str, Tensor]) -> float:
    factors = [curvature[name] for name in ("left", "right") if name in curvature]
    return sum(2.0 * f.shape[-1] ** 3 * f[..., 0, 0].numel() for f in factors)


def _bytes(part: Any) -> int:
    if isinstance(part, Tensor):
        return part.numel() * part.element_size()
    values = [*part.curvature.values(), part.last, part.average]
    return sum(v.numel() * v.element_size() for v in values if v is not None)
