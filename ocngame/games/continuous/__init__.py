"""Continuous time: blocks that solve an ODE, every solver stage a stage of the game."""

from ocngame.games.continuous.block import NeuralODE
from ocngame.games.continuous.fields import (
    Augment,
    SecondOrder,
    TimeConv2d,
    TimeLinear,
    append_time,
)
from ocngame.games.continuous.tableau import TABLEAUS, Tableau, tableau

__all__ = [
    "TABLEAUS",
    "Augment",
    "NeuralODE",
    "SecondOrder",
    "Tableau",
    "TimeConv2d",
    "TimeLinear",
    "append_time",
    "tableau",
]
