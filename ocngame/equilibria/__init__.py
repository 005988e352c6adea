"""Is it an equilibrium? Residuals, second-order certificates, deviation gains, a verdict."""

from ocngame.equilibria.classify import classify, is_equilibrium
from ocngame.equilibria.deviation import DeviationGain, deviation_gain, own_curvature
from ocngame.equilibria.play import Candidate, Play
from ocngame.equilibria.residuals import own_gradient, residuals

__all__ = [
    "Candidate",
    "DeviationGain",
    "Play",
    "classify",
    "deviation_gain",
    "is_equilibrium",
    "own_curvature",
    "own_gradient",
    "residuals",
]
