"""Games: what is played, by whom, and with what information."""

from ocngame.games.constraints import Constraint, control_bounds, keep_apart, stay_inside
from ocngame.games.discretise import at_stage, rk4
from ocngame.games.export import read_graph
from ocngame.games.graph import GameGraph
from ocngame.games.information import InformationStructure
from ocngame.games.lq import LQGame
from ocngame.games.nonlinear import NonlinearGame
from ocngame.games.perturbation import Norm, PerturbationBall
from ocngame.games.player import Player
from ocngame.games.player_derivatives import GamePoint, own_gradients
from ocngame.games.players import PlayerGame
from ocngame.games.stage import Stage, StageKind

__all__ = [
    "Constraint",
    "GameGraph",
    "GamePoint",
    "InformationStructure",
    "LQGame",
    "NonlinearGame",
    "Norm",
    "PerturbationBall",
    "Player",
    "PlayerGame",
    "Stage",
    "StageKind",
    "at_stage",
    "control_bounds",
    "keep_apart",
    "own_gradients",
    "read_graph",
    "rk4",
    "stay_inside",
]
