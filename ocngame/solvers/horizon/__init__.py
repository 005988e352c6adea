"""The times of continuous models as controls that answer the move of the weights."""

from ocngame.solvers.horizon.control import TimeControl, TimeMove
from ocngame.solvers.horizon.expansion import (
    ExactTimes,
    GaussNewtonTimes,
    TimeCurvature,
    TimeExpansion,
)
from ocngame.solvers.horizon.policy import TimePolicy
from ocngame.solvers.horizon.polytope import nearest_in_polytope
from ocngame.solvers.horizon.rules import FirstOrderTimes, SecondOrderTimes

__all__ = [
    "ExactTimes",
    "FirstOrderTimes",
    "GaussNewtonTimes",
    "SecondOrderTimes",
    "TimeControl",
    "TimeCurvature",
    "TimeExpansion",
    "TimeMove",
    "TimePolicy",
    "nearest_in_polytope",
]
