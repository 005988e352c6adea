"""Two-player zero-sum games in extensive form: trees as tensors, and passes over them."""

from ocngame.games.tree.game_tree import CHANCE, TERMINAL, GameTree
from ocngame.games.tree.kuhn import kuhn, kuhn_equilibrium
from ocngame.games.tree.leduc import leduc
from ocngame.games.tree.matrix import matrix_tree
from ocngame.games.tree.open_spiel import tree_from_open_spiel
from ocngame.games.tree.passes import (
    best_response,
    counterfactual_values,
    node_values,
    reach,
    root_value,
)
from ocngame.games.tree.position import Position, grow

__all__ = [
    "CHANCE",
    "TERMINAL",
    "GameTree",
    "Position",
    "best_response",
    "counterfactual_values",
    "grow",
    "kuhn",
    "kuhn_equilibrium",
    "leduc",
    "matrix_tree",
    "node_values",
    "reach",
    "root_value",
    "tree_from_open_spiel",
]
