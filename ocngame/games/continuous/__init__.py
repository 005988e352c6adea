"""Continuous time: blocks that solve an ODE, every solver stage a stage of the game."""

from ocngame.games.continuous.adjoint import Adjoint
from ocngame.games.continuous.block import NeuralODE
from ocngame.games.continuous.fields import (
    Augment,
    SecondOrder,
    TimeConv2d,
    TimeLinear,
    append_time,
)
from ocngame.games.continuous.steppers import Adaptive, solver_errors
from ocngame.games.continuous.tableau import TABLEAUS, Tableau, tableau
from ocngame.games.continuous.times import LearnedTimes, TimeBounds, TimeCost

__all__ = [
    "TABLEAUS",
    "Adaptive",
    "Adjoint",
    "Augment",
    "LearnedTimes",
    "NeuralODE",
    "SecondOrder",
    "Tableau",
    "TimeBounds",
    "TimeConv2d",
    "TimeCost",
    "TimeLinear",
    "append_time",
    "solver_errors",
    "tableau",
]
