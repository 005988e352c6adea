"""Is it an equilibrium? Residuals, second-order certificates, deviation gains, a verdict."""

from ocngame.equilibria.classify import classify, is_equilibrium
from ocngame.equilibria.deviation import deviation_gain, own_curvature
from ocngame.equilibria.exploitability import (
    exploitability,
    gains_of_deviation,
    matrix_exploitability,
)
from ocngame.equilibria.gain import DeviationGain, Evidence
from ocngame.equilibria.nonlinear import NonlinearReport, examine
from ocngame.equilibria.play import Candidate, Play, PlayWithMultipliers
from ocngame.equilibria.players import PlayerReport, examine_players
from ocngame.equilibria.residuals import own_gradient, residuals
from ocngame.equilibria.search import DeviationSearch

__all__ = [
    "Candidate",
    "DeviationGain",
    "DeviationSearch",
    "Evidence",
    "NonlinearReport",
    "Play",
    "PlayWithMultipliers",
    "PlayerReport",
    "classify",
    "deviation_gain",
    "examine",
    "examine_players",
    "exploitability",
    "gains_of_deviation",
    "is_equilibrium",
    "matrix_exploitability",
    "own_curvature",
    "own_gradient",
    "residuals",
]
