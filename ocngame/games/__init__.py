"""Games: what is played, by whom, and with what information."""

from ocngame.games.graph import GameGraph
from ocngame.games.information import InformationStructure
from ocngame.games.lq import LQGame
from ocngame.games.player import Player
from ocngame.games.stage import Stage, StageKind

__all__ = ["GameGraph", "InformationStructure", "LQGame", "Player", "Stage", "StageKind"]
