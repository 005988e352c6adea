"""Tabular solvers of games in extensive form: oracles for what is learnt."""

from ocngame.solvers.tree.cfr import CFRPlus, RegretState
from ocngame.solvers.tree.mirror import MagneticDescent, MagneticState

__all__ = ["CFRPlus", "MagneticDescent", "MagneticState", "RegretState"]
