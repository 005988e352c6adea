"""Players with costs of their own: the coupled stage game of a differentiable game."""

from ocngame.solvers.players.adversary import InputAdversary
from ocngame.solvers.players.annealing import LinearEnd
from ocngame.solvers.players.averaging import IterateAverage
from ocngame.solvers.players.config import PlayerOptConfig
from ocngame.solvers.players.curvature import DiagonalOwn, FullOwn, IdentityOwn, OwnCurvature
from ocngame.solvers.players.info import PlayerStepInfo
from ocngame.solvers.players.krylov_stage import KrylovSolve
from ocngame.solvers.players.look_ahead import look_ahead
from ocngame.solvers.players.matrix_stage import DenseSolve
from ocngame.solvers.players.network_own import GramOwn, NetworkOwn
from ocngame.solvers.players.optimizer import PlayerOpt
from ocngame.solvers.players.output_columns import GradientColumns, HessianColumns, OutputColumns
from ocngame.solvers.players.robust import RobustConfig, RobustInfo, RobustOpt
from ocngame.solvers.players.steps import JudgedStep, PlainStep
from ocngame.solvers.players.sweep import SweepConfig, SweepOpt
from ocngame.solvers.players.team import (
    BargainingWeights,
    GivenWeights,
    TeamConfig,
    TeamInfo,
    TeamOpt,
    TeamWeights,
)

__all__ = [
    "BargainingWeights",
    "DenseSolve",
    "DiagonalOwn",
    "FullOwn",
    "GivenWeights",
    "GradientColumns",
    "GramOwn",
    "HessianColumns",
    "IdentityOwn",
    "InputAdversary",
    "IterateAverage",
    "JudgedStep",
    "KrylovSolve",
    "LinearEnd",
    "NetworkOwn",
    "OutputColumns",
    "OwnCurvature",
    "PlainStep",
    "PlayerOpt",
    "PlayerOptConfig",
    "PlayerStepInfo",
    "RobustConfig",
    "RobustInfo",
    "RobustOpt",
    "SweepConfig",
    "SweepOpt",
    "TeamConfig",
    "TeamInfo",
    "TeamOpt",
    "TeamWeights",
    "look_ahead",
]
