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
    BackwardPass,
    CostateStage,
    StageRule,
    backward_pass,
    best_response,
    constant_policies,
    evaluate_costate,
    evaluate_policies,
    lq_stages,
    lq_terminal,
    stack_policies,
)
from ocngame.games import LQGame
from ocngame.solvers.lq.existence import LQCertificate, join, own_scale

__all__ = ["solve_by_costates"]


def solve_by_costates(game: LQGame, rule: StageRule) -> tuple[BackwardPass, LQCertificate]:
    """Solve the open-loop game from every initial state.

    Args:
        game: The game.
        rule: Control slices, with open-loop information.

    Returns:
        Controls as an affine function of the state on the equilibrium path, the costs along it,
        and the evidence of existence.
    """
    stages = [CostateStage(quadratic=quadratic, rule=rule) for quadratic in lq_stages(game)]
    found = backward_pass(stages, lq_terminal(game), evaluate_costate)
    scale = own_scale(game, list(enumerate(game.control_slices)))
    boundary = join(found.certificates, scale)
    still = constant_policies(game.r.new_zeros(()).expand_as(game.r[..., 0, :, :]), game.state_size)
    response = best_response(game, still)
    own = torch.stack(
        [
            response.curvature[..., i, :, block, block].abs().amax((-2, -1))
            for i, block in enumerate(game.control_slices)
        ],
        dim=-2,
    )
    certificate = replace(
        boundary,
        own_curvature=response.own_curvature,
        curvature_scale=torch.maximum(own.detach(), scale),
    )
    played = evaluate_policies(game, stack_policies(found.policies))
    return replace(found, values=played.values), certificate
