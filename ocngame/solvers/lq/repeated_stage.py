"""One stage repeated: as a function of the value after it, and as a recursion."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ocngame.bellman import (
    AffinePolicy,
    DenseStage,
    QExpansion,
    StageCertificate,
    StageRule,
    ValueExpansion,
    evaluate_policy,
    lq_stages,
)
from ocngame.games import LQGame
from ocngame.solvers.lq.existence import ExistenceRule, join, judge
from ocngame.solvers.lq.feedback import control_scale
from ocngame.solvers.lq.settle import Recursion, forever
from ocngame.solvers.lq.status import Status, curvature_status

__all__ = ["flattened", "recursion", "stage_of"]


def stage_of(
    game: LQGame, rule: StageRule
) -> Callable[[Tensor], tuple[QExpansion, AffinePolicy, StageCertificate]]:
    """Give the stage game as a function of the value after it.

    Args:
        game: A game of horizon 1.
        rule: Who moves, under which information.

    Returns:
        A function from values (..., N, n, n) to the expansion, the policy and its certificate.
    """
    dense = DenseStage(quadratic=lq_stages(game)[0], rule=rule)
    zero = game.q[..., 0, :]

    def look(v_xx: Tensor) -> tuple[QExpansion, AffinePolicy, StageCertificate]:
        q = dense.expand(ValueExpansion(v=zero[..., 0], v_x=zero, v_xx=v_xx))
        return q, *dense.solve(q)

    return look


def recursion(game: LQGame, rule: StageRule, existence: ExistenceRule) -> Recursion:
    """Give the stage as a recursion for the value, without gradients.

    Args:
        game: A game of horizon 1.
        rule: Who moves, under which information.
        existence: How far from the border of existence counts as existing.

    Returns:
        The recursion.
    """
    look, scale = stage_of(game, rule), control_scale(game, rule)
    dense = DenseStage(quadratic=lq_stages(game)[0], rule=rule)
    zero = torch.zeros_like(game.q[..., 0, :])
    nothing = ValueExpansion(v=zero[..., 0], v_x=zero, v_xx=torch.zeros_like(game.Q[..., 0, :, :]))
    alone = dense.expand(nothing)
    A, B = game.A.squeeze(-3), game.B.squeeze(-3)

    def step(v_xx: Tensor) -> tuple[Tensor, tuple[AffinePolicy, StageCertificate]]:
        q, policy, found = look(v_xx)
        return evaluate_policy(q, policy).v_xx, (policy, found)

    def jump(evidence: tuple[AffinePolicy, StageCertificate]) -> Tensor:
        policy, _ = evidence
        return forever(evaluate_policy(alone, policy).v_xx, A + B @ policy.feedback)

    def sound(evidence: tuple[AffinePolicy, StageCertificate]) -> Tensor:
        certificate = join([evidence[1]], scale)
        return (
            judge(
                certificate, existence, curvature_status(rule.information), Status.SINGULAR_SYSTEM
            ).codes
            == 0
        )

    return Recursion(step=step, jump=jump, sound=sound)


def flattened(game: LQGame, rule: StageRule) -> Callable[[Tensor | None], tuple[LQGame, StageRule]]:
    """Give a game and its rule element by element.

    Args:
        game: A game without linear parts.
        rule: Who moves, under which information.

    Returns:
        A function from an index into the flattened batch, or None for all of it, to those elements
        of the game and of the rule.
    """
    batch = game.batch_shape
    parts = {name: getattr(game, name).detach() for name in ("A", "B", "Q", "R", "M")}
    weights = rule.weights if rule.weights is None else rule.weights.detach()
    if batch:
        parts = {name: part.flatten(0, len(batch) - 1) for name, part in parts.items()}
        if weights is not None:
            weights = weights.expand(*batch, weights.shape[-1]).flatten(0, len(batch) - 1)

    def pick(index: Tensor | None) -> tuple[LQGame, StageRule]:
        if index is None:
            chosen, share = parts, weights
        else:
            chosen = {name: part[index] for name, part in parts.items()}
            share = None if weights is None else weights[index]
        some = LQGame(control_slices=game.control_slices, **chosen)
        return some, replace(rule, weights=share)

    return pick
