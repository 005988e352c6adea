r"""Open-loop Nash games: coupled costates, one Riccati recursion that is not symmetric.

Basar & Olsder, 2nd ed., Theorem 6.2. The boundary-value problem of the players' minimum principles
is solved backward by `lambda^i_t = L^i_t x_t + l^i_t` (`ocngame.bellman.costate`), at the cost of a
feedback game; no matrix spans the horizon. Stationarity is necessary only. It is sufficient where
each player's cost is strictly convex in its own sequence, which player i's own Riccati recursion
against fixed sequences of the others decides exactly (`ocngame.bellman.best_response`). The theorem
in the book presumes that; here it is evidence.
"""

from dataclasses import replace

import torch

from ocngame.bellman import (
    AffinePolicy,
    CostateStage,
    StageRule,
    backward_pass,
    evaluate_costate,
    evaluate_policies,
    lq_stages,
    lq_terminal,
    stack_policies,
)
from ocngame.bellman.condensed import condensed_pivots
from ocngame.bellman.joined import joined_pass
from ocngame.bellman.joining import FEW, join_lq, joined_values, split_values
from ocngame.games import LQGame
from ocngame.linalg import smallest_eigenvalue
from ocngame.solvers.lq.existence import LQCertificate, join, judged_on, own_scale
from ocngame.solvers.lq.feedback import LQPass

__all__ = ["convexity", "solve_by_costates"]


def solve_by_costates(game: LQGame, rule: StageRule) -> LQPass:
    """Solve the open-loop game from every initial state.

    Args:
        game: The game.
        rule: Control slices, with open-loop information.

    Returns:
        Controls as an affine function of the state on the equilibrium path, the costs along it,
        and the evidence of existence.
    """
    scale = own_scale(game, list(enumerate(game.control_slices)))
    if len(game.batch_shape) < 2 and game.batch_shape.numel() <= FEW:
        joined = join_lq(game)
        found = joined_pass(joined, rule)
        policies = AffinePolicy(feedforward=found.feedforward, feedback=found.feedback)
        values = split_values(joined_values(joined, policies))
        boundary = judged_on(found.certificate, scale)
    else:
        stages = [CostateStage(quadratic=quadratic, rule=rule) for quadratic in lq_stages(game)]
        found = backward_pass(stages, lq_terminal(game), evaluate_costate)
        policies = stack_policies(found.policies)
        values = evaluate_policies(game, policies).values
        boundary = join(found.certificates, scale)
    return LQPass(policies=policies, values=values, certificate=convexity(game, boundary))


@torch.no_grad()
def convexity(game: LQGame, boundary: LQCertificate) -> LQCertificate:
    """Put the pivots of the condensed Hessians in the place of the stages' curvatures.

    Args:
        game: The game.
        boundary: The evidence on the boundary-value problem.

    Returns:
        The evidence with each player's second-order condition in its whole sequence.
    """
    blocks = condensed_pivots(game)
    own = torch.stack([smallest_eigenvalue(block) for block in blocks], dim=-2)
    size = torch.stack([block.abs().amax((-2, -1)) for block in blocks], dim=-2)
    scale = own_scale(game, list(enumerate(game.control_slices)))
    return replace(boundary, own_curvature=own, curvature_scale=torch.maximum(size, scale))
