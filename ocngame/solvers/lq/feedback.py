r"""Finite-horizon games solved by values: feedback Nash, cooperative, zero-sum, Stackelberg.

One backward pass (Basar & Olsder, 2nd ed., Corollary 6.1 for feedback Nash, section 6.2 for the
saddle point, section 7.3 for feedback Stackelberg): at each stage the information structure's
condition `S du + s + Y x = 0` is solved (`ocngame.bellman.stage_game`), and the values of playing
the result are handed to the stage before (`ocngame.bellman.value`). Few games at a time are solved
in joined matrices (`ocngame.bellman.joined`), large batches in the expansions' own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ocngame.bellman import (
    AffinePolicy,
    DenseStage,
    StageRule,
    ValueExpansion,
    backward_pass,
    lq_stages,
    lq_terminal,
    stack_policies,
)
from ocngame.bellman.joined import joined_pass, joins
from ocngame.bellman.joining import FEW, join_lq, split_values
from ocngame.games import InformationStructure, LQGame
from ocngame.solvers.lq.existence import LQCertificate, join, judged_on, own_scale

__all__ = ["LQPass", "control_scale", "solve_by_values"]


@dataclass(frozen=True, kw_only=True)
class LQPass:
    """What a pass over a game gives.

    Attributes:
        policies: k (..., T, m) and K (..., T, m, n).
        values: Every player's value of playing them, stages 0 .. T.
        certificate: The evidence of existence.
    """

    policies: AffinePolicy
    values: Sequence[ValueExpansion]
    certificate: LQCertificate


def solve_by_values(game: LQGame, rule: StageRule) -> LQPass:
    """Run the backward pass of a game under a rule.

    Args:
        game: The game.
        rule: Who moves, under which information.

    Returns:
        Policies and values of every stage, and the evidence of existence.
    """
    scale = control_scale(game, rule)
    batch = game.batch_shape
    wide = rule.weights is not None and rule.weights.ndim > 1 + len(batch)
    if len(batch) < 2 and batch.numel() <= FEW and joins(rule) and not wide:
        found = joined_pass(join_lq(game), rule)
        return LQPass(
            policies=AffinePolicy(feedforward=found.feedforward, feedback=found.feedback),
            values=split_values(found.values),
            certificate=judged_on(found.certificate, scale),
        )
    stages = [DenseStage(quadratic=quadratic, rule=rule) for quadratic in lq_stages(game)]
    found = backward_pass(stages, lq_terminal(game))
    return LQPass(
        policies=stack_policies(found.policies),
        values=found.values,
        certificate=join(found.certificates, scale),
    )


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
