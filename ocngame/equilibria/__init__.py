"""Is it an equilibrium? Residuals, second-order certificates, deviation gains, a verdict."""

from ocngame.equilibria.classify import classify, is_equilibrium
from ocngame.equilibria.deviation import DeviationGain, deviation_gain, own_curvature
from ocngame.equilibria.nonlinear import NonlinearReport, examine
from ocngame.equilibria.play import Candidate, Play
from ocngame.equilibria.players import PlayerReport, examine_players
from ocngame.equilibria.residuals import own_gradient, residuals

__all__ = [
    "Candidate",
    "DeviationGain",
    "NonlinearReport",
    "Play",
    "PlayerReport",
    "classify",
    "deviation_gain",
    "examine",
    "examine_players",
    "is_equilibrium",
    "own_curvature",
    "own_gradient",
    "residuals",
]
