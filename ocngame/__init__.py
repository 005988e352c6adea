"""Games on networks and trajectories, solved by one Bellman recursion.

Public names are imported on first use, so that `import ocngame` (and the command line's help) does
not pay for importing torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocngame import equilibria
    from ocngame.games import (
        GameGraph,
        InformationStructure,
        LQGame,
        NonlinearGame,
        Player,
        PlayerGame,
    )
    from ocngame.games.continuous import NeuralODE
    from ocngame.solvers.find_equilibria import find_equilibria
    from ocngame.solvers.flows import (
        ContinuousFlow,
        FlowField,
        FlowHessian,
        FlowLoss,
        HutchinsonDivergence,
    )
    from ocngame.solvers.horizon import TimeControl
    from ocngame.solvers.lq import Solution, Status
    from ocngame.solvers.nonlinear import IterationOptions, NonlinearSolution
    from ocngame.solvers.ocnopt import OCNOpt, OCNOptConfig
    from ocngame.solvers.players import PlayerOpt, PlayerOptConfig
    from ocngame.solvers.solve import solve

__version__ = "0.1.0"

_EXPORTS = {
    "equilibria": "ocngame",
    "find_equilibria": "ocngame.solvers.find_equilibria",
    "ContinuousFlow": "ocngame.solvers.flows",
    "FlowField": "ocngame.solvers.flows",
    "FlowHessian": "ocngame.solvers.flows",
    "FlowLoss": "ocngame.solvers.flows",
    "GameGraph": "ocngame.games",
    "HutchinsonDivergence": "ocngame.solvers.flows",
    "InformationStructure": "ocngame.games",
    "IterationOptions": "ocngame.solvers.nonlinear",
    "LQGame": "ocngame.games",
    "NeuralODE": "ocngame.games.continuous",
    "NonlinearGame": "ocngame.games",
    "NonlinearSolution": "ocngame.solvers.nonlinear",
    "OCNOpt": "ocngame.solvers.ocnopt",
    "OCNOptConfig": "ocngame.solvers.ocnopt",
    "Player": "ocngame.games",
    "PlayerGame": "ocngame.games",
    "PlayerOpt": "ocngame.solvers.players",
    "PlayerOptConfig": "ocngame.solvers.players",
    "Solution": "ocngame.solvers.lq",
    "Status": "ocngame.solvers.lq",
    "TimeControl": "ocngame.solvers.horizon",
    "solve": "ocngame.solvers.solve",
}

__all__ = [
    "ContinuousFlow",
    "FlowField",
    "FlowHessian",
    "FlowLoss",
    "GameGraph",
    "HutchinsonDivergence",
    "InformationStructure",
    "IterationOptions",
    "LQGame",
    "NeuralODE",
    "NonlinearGame",
    "NonlinearSolution",
    "OCNOpt",
    "OCNOptConfig",
    "Player",
    "PlayerGame",
    "PlayerOpt",
    "PlayerOptConfig",
    "Solution",
    "Status",
    "TimeControl",
    "__version__",
    "equilibria",
    "find_equilibria",
    "solve",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ocngame' has no attribute {name!r}")
    owner = _EXPORTS[name]
    if owner == __name__:
        return import_module(f"{__name__}.{name}")
    value = getattr(import_module(owner), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
