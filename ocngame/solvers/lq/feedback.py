r"""Finite-horizon games solved by values: feedback Nash, cooperative, zero-sum, Stackelberg.

One backward pass (Basar & Olsder, 2nd ed., Corollary 6.1 for feedback Nash, section 6.2 for the
saddle point, section 7.3 for feedback Stackelberg): at each stage the information structure's
condition `S du + s + Y x = 0` is solved (`ocngame.bellman.stage_game`), and the values of playing
the result are handed to the stage before (`ocngame.bellman.value`).
"""

from torch import Tensor

from ocngame.bellman import (
    BackwardPass,
    DenseStage,
    StageRule,
    backward_pass,
    lq_stages,
    lq_terminal,
)
from ocngame.games import InformationStructure, LQGame
from ocngame.solvers.lq.existence import LQCertificate, join, own_scale

__all__ = ["control_scale", "solve_by_values"]


def solve_by_values(game: LQGame, rule: StageRule) -> tuple[BackwardPass, LQCertificate]:
    """Run the backward pass of a game under a rule.

    Args:
        game: The game.
        rule: Who moves, under which information.

    Returns:
        Policies and values of every stage, and the evidence of existence.
    """
    stages = [DenseStage(quadratic=quadratic, rule=rule) for quadratic in lq_stages(game)]
    found = backward_pass(stages, lq_terminal(game))
    return found, join(found.certificates, control_scale(game, rule))


def control_scale(game: LQGame, rule: StageRule) -> Tensor:
    """Give the size of the control cost in what each decision maker minimises.

    Args:
        game: The game.
        rule: Who moves, under which information.

    Returns:
        Largest entries, shape (..., D, T) for D players or one coalition.
    """
    everything = slice(0, game.control_size)
    if rule.information is InformationStructure.COOPERATIVE:
        return own_scale(game.team(rule.weights), [(0, everything)])
    blocks = list(enumerate(game.control_slices))
    if rule.leader is not None:
        blocks[rule.leader] = (rule.leader, everything)
    return own_scale(game, blocks)
