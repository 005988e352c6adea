"""Ready differentiable games: players with tensors and costs of their own, each with a start."""

from ocngame.games.differentiable.dirac_gan import dirac_gan
from ocngame.games.differentiable.matrix_games import iterated_prisoners_dilemma, matching_pennies
from ocngame.games.differentiable.quadratic import (
    bilinear,
    four_player,
    general_sum,
    quadratic_game,
    rotation,
)
from ocngame.games.differentiable.ready import ReadyPlayers

__all__ = [
    "ReadyPlayers",
    "bilinear",
    "dirac_gan",
    "four_player",
    "general_sum",
    "iterated_prisoners_dilemma",
    "matching_pennies",
    "quadratic_game",
    "rotation",
]
