"""The solver's state inside `torch.optim.Optimizer.state`, so that `state_dict` has all of it.

A stage's tensors are kept with the first parameter of its control, where torch moves them along to
the parameter's device; what belongs to no stage is kept under the key "solver".
"""

import logging
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ocngame.games.network_control import NetworkControl
from ocngame.solvers.ocnopt.core import SolverState, StageState, init_state
from ocngame.solvers.ocnopt.fade import Level

__all__ = ["load", "save"]

_log = logging.getLogger(__name__)
_CURVATURE = "curvature_"


def load(optimizer: Any, controls: Sequence[NetworkControl]) -> SolverState:
    """Read the solver's state.

    Args:
        optimizer: The optimizer.
        controls: The controls of the stages, as they are now.

    Returns:
        The state; a new one before the first step, and where layers have been frozen or unfrozen.
    """
    solver = optimizer.state.get("solver")
    if solver is None:
        return init_state(optimizer.config, controls)
    layout = _layout(controls)
    if solver["layout"] != layout:
        _log.info("the trained parameters have changed; curvature and averages start anew")
        return init_state(optimizer.config, controls)
    optimizer.generator.set_state(solver["generator"])
    if optimizer.team is not None:
        optimizer.team.load(solver["cooperation"])
    like = controls[0].parameters[0]
    return SolverState(
        [_stage_state(optimizer.state[control.parameters[0]]) for control in controls],
        step=solver["step"],
        damping=solver["damping"],
        predicted=solver["predicted"],
        refreshed=solver["refreshed"],
        rates=solver["rates"],
        level=Level(*solver.get("level", ())),
        faded=solver.get("faded", 1.0),
        memory={name: value.to(like.device) for name, value in solver["memory"].items()},
    )


def save(optimizer: Any, controls: Sequence[NetworkControl], state: SolverState) -> None:
    """Write the solver's state.

    Args:
        optimizer: The optimizer.
        controls: The controls of the stages.
        state: The state.
    """
    for control, stage in zip(controls, state.stages, strict=True):
        entry = {f"{_CURVATURE}{name}": value for name, value in stage.curvature.items()}
        entry |= {"last": stage.last, "average": stage.average}
        optimizer.state[control.parameters[0]] = {k: v for k, v in entry.items() if v is not None}
    optimizer.state["solver"] = {
        "layout": _layout(controls),
        "step": state.step,
        "damping": state.damping,
        "predicted": state.predicted,
        "refreshed": state.refreshed,
        "rates": list(state.rates),
        "level": [state.level.mean, state.level.low],
        "faded": state.faded,
        "memory": dict(state.memory),
        "generator": optimizer.generator.get_state(),
        "cooperation": None if optimizer.team is None else optimizer.team.save(),
    }


def _layout(controls: Sequence[NetworkControl]) -> list[list[Any]]:
    return [[control.stage, *control.shape] for control in controls]


def _stage_state(entry: dict[str, Tensor]) -> StageState:
    curvature = {
        name.removeprefix(_CURVATURE): value
        for name, value in entry.items()
        if name.startswith(_CURVATURE)
    }
    return StageState(curvature, entry.get("last"), entry.get("average"))
