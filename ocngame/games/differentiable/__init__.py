"""Ready differentiable games: players with tensors and costs of their own, each with a start."""

from collections.abc import Callable, Mapping

from ocngame.games.differentiable.dirac_gan import dirac_gan
from ocngame.games.differentiable.gaussians import (
    Coverage,
    Mixture,
    gaussian_gan,
    grid,
    ring,
)
from ocngame.games.differentiable.images import image_gan
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
    "READY_PLAYERS",
    "Coverage",
    "Mixture",
    "ReadyPlayers",
    "bilinear",
    "dirac_gan",
    "four_player",
    "gaussian_gan",
    "general_sum",
    "grid",
    "image_gan",
    "iterated_prisoners_dilemma",
    "matching_pennies",
    "quadratic_game",
    "ring",
    "rotation",
]

READY_PLAYERS: Mapping[str, Callable[[int], ReadyPlayers]] = {
    "bilinear": lambda _: bilinear(),
    "dirac_gan": lambda _: dirac_gan(),
    "four_player": lambda _: four_player(),
    "gan8": lambda seed: gaussian_gan(ring(), penalty=1.0, seed=seed),
    "gan25": lambda seed: gaussian_gan(grid(), penalty=1.0, seed=seed),
    "general_sum": lambda seed: general_sum(seed=seed),
    "ipd": lambda seed: iterated_prisoners_dilemma(seed=seed),
    "matching_pennies": lambda _: matching_pennies(),
    "rotation": lambda _: rotation(),
}
"""The makers of all ready differentiable games, by name, from a seed."""
