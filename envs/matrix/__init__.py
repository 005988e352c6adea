"""Repeated matrix games as batched worlds."""

from ocngame.envs.matrix.repeated import (
    RepeatedMatrixWorld,
    matching_pennies,
    prisoners_dilemma,
    rock_paper_scissors,
)

__all__ = [
    "RepeatedMatrixWorld",
    "matching_pennies",
    "prisoners_dilemma",
    "rock_paper_scissors",
]
