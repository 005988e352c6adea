"""OCNOpt: a network is a dynamic game, a step is a Bellman recursion on it."""

from ocngame.solvers.ocnopt.bandit import Exp3
from ocngame.solvers.ocnopt.config import Feedback, OCNOptConfig, Sweep
from ocngame.solvers.ocnopt.cooperation import BanditAlignment, Cooperation, FixedAlignment
from ocngame.solvers.ocnopt.damping import FixedDamping, Judge, LevenbergMarquardt
from ocngame.solvers.ocnopt.decay import Decay
from ocngame.solvers.ocnopt.divergence import DivergenceStep
from ocngame.solvers.ocnopt.estimate import Estimate
from ocngame.solvers.ocnopt.fade import Fade
from ocngame.solvers.ocnopt.fallback import FallbackRule
from ocngame.solvers.ocnopt.optimizer import OCNOpt
from ocngame.solvers.ocnopt.report import StepInfo
from ocngame.solvers.ocnopt.rhythm import Rhythm
from ocngame.solvers.ocnopt.steps import FixedStep, ModelStep
from ocngame.solvers.ocnopt.trust_region import TrustRegionStep

__all__ = [
    "BanditAlignment",
    "Cooperation",
    "Decay",
    "DivergenceStep",
    "Estimate",
    "Exp3",
    "Fade",
    "FallbackRule",
    "Feedback",
    "FixedAlignment",
    "FixedDamping",
    "FixedStep",
    "Judge",
    "LevenbergMarquardt",
    "ModelStep",
    "OCNOpt",
    "OCNOptConfig",
    "Rhythm",
    "StepInfo",
    "Sweep",
    "TrustRegionStep",
]
