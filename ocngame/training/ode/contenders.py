"""Contenders of the continuous-time job, which also count the evaluations of their fields."""

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ocngame.curvature import SketchedColumns
from ocngame.solvers.horizon import TimeControl
from ocngame.solvers.ocnopt import FixedDamping, OCNOpt, OCNOptConfig, TrustRegionStep
from ocngame.solvers.ocnopt.rhythm import Rhythm
from ocngame.training.contenders import Contender, StepResult, TorchContender
from ocngame.training.ode.config import ODEConfig
from ocngame.training.ode.problem import Problem
from ocngame.training.ode.solver import evaluations_of
from ocngame.training.ode.times import details_of, time_control

__all__ = ["SETTINGS", "ODEContender", "make_ode_contenders"]

SETTINGS = OCNOptConfig(
    rhythm=Rhythm(first=4, measure_every=20, ramp=0.5),
    columns=SketchedColumns(one_in=4),
    step=TrustRegionStep(growth=4.0),
    damping=FixedDamping(damping=3e-4),
    decay_growth=0.0,
    fade=None,
)
"""A solve passes each layer many times, so that a few batches, and a part of their samples, tell
its curvature. What so few batches say is remembered for long, and one of them counts for less."""


class ODEContender:
    """A contender with the number of field evaluations of its steps.

    Attributes:
        contender: The network and its optimizer.
        times: What moves the integration time; None where it is fixed.
        evaluations: Field evaluations of its steps so far, those of measurements not counted.
    """

    def __init__(self, contender: Contender, times: TimeControl | None = None):
        """Start the count.

        Args:
            contender: The network and its optimizer.
            times: What moves the integration time; None where it is fixed.
        """
        self.contender = contender
        self.times = times
        self.evaluations = 0

    @property
    def name(self) -> str:
        """Its name in tables and logs."""
        return self.contender.name

    @property
    def model(self) -> nn.Module:
        """Its network."""
        return self.contender.model

    def step(self, x: Tensor, y: Tensor) -> StepResult:
        """Make one step.

        Args:
            x: Inputs of the batch.
            y: Targets.

        Returns:
            What happened.
        """
        before = evaluations_of(self.model)
        result = self._step(x, y)
        self.evaluations += evaluations_of(self.model) - before
        return result

    def _step(self, x: Tensor, y: Tensor) -> StepResult:
        if self.times is None:
            return self.contender.step(x, y)
        seconds, start = self.contender.cpu_seconds, time.process_time()
        result, move = self.times.step(lambda: self.contender.step(x, y), x, y)
        self.contender.cpu_seconds = seconds + time.process_time() - start
        return replace(result, details={**result.details, **details_of(move)})

    def state_dict(self) -> dict[str, Any]:
        """Give everything that the next step depends on, and the counts."""
        state = {"contender": self.contender.state_dict(), "evaluations": self.evaluations}
        return state if self.times is None else {**state, "times": self.times.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Args:
            state: What `state_dict` gave.
        """
        self.contender.load_state_dict(state["contender"])
        self.evaluations = state["evaluations"]
        if self.times is not None:
            self.times.load_state_dict(state["times"])


class _OCNOptContender(Contender):
    def __init__(self, model: nn.Module, problem: Problem, config: ODEConfig):
        super().__init__("ocnopt", model)
        settings = config.ocnopt
        self.optimizer = OCNOpt(
            model,
            problem.loss,
            lr=settings.lr,
            groups=[{"params": model.parameters(), "weight_decay": settings.weight_decay}],
            hessian=problem.hessian,
            config=SETTINGS,
            seed=config.seed,
        )

    def _step(self, x: Tensor, y: Tensor) -> StepResult:
        info = self.optimizer.step(x, y)
        details = info.as_dict()
        del details["loss"], details["accepted"]
        return StepResult(loss=info.loss, accepted=info.accepted, details=details)

    def _parts(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer}


def make_ode_contenders(config: ODEConfig, problem: Problem) -> list[ODEContender]:
    """Give every optimizer of the settings its own copy of a network.

    Args:
        config: Settings of the job.
        problem: The problem, with the network's first weights.

    Returns:
        The contenders in the order of the settings.
    """

    def first_order(name: str, make: Callable[[Any], torch.optim.Optimizer]) -> Contender:
        model = copy.deepcopy(problem.network)
        return TorchContender(name, model, make(model.parameters()), None, problem.loss)

    adam, sgd = config.adam, config.sgd
    makers: dict[str, Callable[[], Contender]] = {
        "ocnopt": lambda: _OCNOptContender(copy.deepcopy(problem.network), problem, config),
        "adam": lambda: first_order("adam", lambda p: torch.optim.Adam(p, lr=adam.lr)),
        "sgd": lambda: first_order(
            "sgd", lambda p: torch.optim.SGD(p, lr=sgd.lr, momentum=sgd.momentum)
        ),
    }
    contenders = [makers[name]() for name in config.optimizers]
    return [ODEContender(c, time_control(c.model, problem.loss, config)) for c in contenders]
