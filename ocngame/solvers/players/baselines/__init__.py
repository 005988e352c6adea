"""First-order methods for differentiable games, one idea a file, to compare with."""

from ocngame.solvers.players.baselines.adam import ExtraAdam, OptimisticAdam, SimultaneousAdam
from ocngame.solvers.players.baselines.attacks import FastGradientSign, ProjectedGradient
from ocngame.solvers.players.baselines.base import FirstOrder
from ocngame.solvers.players.baselines.consensus import Consensus
from ocngame.solvers.players.baselines.extragradient import Extragradient
from ocngame.solvers.players.baselines.functional import FunctionalPlayers, FunctionalRule
from ocngame.solvers.players.baselines.gradient import AlternatingGradient, SimultaneousGradient
from ocngame.solvers.players.baselines.lola import LOLA
from ocngame.solvers.players.baselines.optimistic import Optimistic
from ocngame.solvers.players.baselines.robust import (
    FastTraining,
    ProjectedTraining,
    RobustBaseline,
    TradesTraining,
)
from ocngame.solvers.players.baselines.symplectic import SymplecticAdjustment

__all__ = [
    "LOLA",
    "AlternatingGradient",
    "Consensus",
    "ExtraAdam",
    "Extragradient",
    "FastGradientSign",
    "FastTraining",
    "FirstOrder",
    "FunctionalPlayers",
    "FunctionalRule",
    "Optimistic",
    "OptimisticAdam",
    "ProjectedGradient",
    "ProjectedTraining",
    "RobustBaseline",
    "SimultaneousAdam",
    "SimultaneousGradient",
    "SymplecticAdjustment",
    "TradesTraining",
]
