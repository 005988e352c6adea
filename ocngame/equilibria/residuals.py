r"""First-order residuals: what each decision maker's own condition leaves over.

With the values of *playing the policies* (not of an optimum) in the Q-functions, the stage
condition `S du + s + Y x` of an information structure vanishes at `du = k + K x`

* for every state x, if the policies are a feedback equilibrium: `S k + s = 0` and `S K + Y = 0`;
* on the path, with constant policies, if the controls are an open-loop equilibrium.

On the path the rows are the gradients of each player's cost with respect to its own feedforward.
"""

import torch
from torch import Tensor

from ocngame.bellman import StageCondition, StageRule, evaluate_policies, stage_condition
from ocngame.bellman.policy import AffinePolicy
from ocngame.equilibria.play import Candidate, Play, committed, path, reach
from ocngame.games import InformationStructure, LQGame

__all__ = ["conditions", "own_gradient", "residuals"]


def conditions(game: LQGame, policies: AffinePolicy, rule: StageRule) -> StageCondition:
    """Give the stage conditions of policies, against the values of playing them.

    Args:
        game: The game.
        policies: Joint policies, feedforward (..., T, m) and feedback (..., T, m, n).
        rule: Who moves, under which information.

    Returns:
        The conditions of all stages: system (..., T, m, m), slope (..., T, m), mixed
        (..., T, m, n) and curvatures (..., T, m_i, m_i).
    """
    stages = [stage_condition(q, rule) for q in evaluate_policies(game, policies).certificates]
    return StageCondition(
        system=torch.stack([stage.system for stage in stages], dim=-3),
        slope=torch.stack([stage.slope for stage in stages], dim=-2),
        mixed=torch.stack([stage.mixed for stage in stages], dim=-3),
        curvature=tuple(
            torch.stack(blocks, dim=-3)
            for blocks in zip(*(stage.curvature for stage in stages), strict=True)
        ),
    )


def own_gradient(game: LQGame, policies: AffinePolicy, x0: Tensor) -> Tensor:
    """Give the gradient of each player's cost with respect to its own feedforward.

    Args:
        game: The game.
        policies: Joint policies, feedforward (..., T, m) and feedback (..., T, m, n).
        x0: Initial state, shape (..., n).

    Returns:
        The entry of each control is the derivative of its owner's cost, shape (..., T, m).
    """
    found = conditions(game, policies, StageRule(slices=game.control_slices))
    states = path(game, Candidate(policies=policies, x0=x0))[0][..., :-1, :, None]
    feedback = found.system @ policies.feedback + found.mixed
    rows = (found.system @ policies.feedforward.unsqueeze(-1) + feedback @ states).squeeze(-1)
    rows += found.slope
    order = [c for block in game.control_slices for c in range(block.start, block.stop)]
    return rows[..., torch.tensor(order, device=rows.device).argsort()]


def residuals(game: LQGame, play: Play, information: InformationStructure | None = None) -> Tensor:
    """Give the relative first-order residual of every decision maker at every stage.

    Args:
        game: The game.
        play: The play, with its initial state: it sets the size of the states on the path.
        information: The information structure to judge by; the play's own if None.

    Returns:
        The largest row of the own condition, relative to the terms it is made of, shape
        (..., D, T) for D players or one coalition. NaN where the play is NaN.

    Raises:
        InvalidInputError: if the play does not fit the game.
    """
    information = play.information if information is None else information
    states, controls = path(game, play)
    rule = StageRule(
        slices=game.control_slices,
        information=information,
        weights=play.weights,
        leader=play.leader,
    )
    policies = committed(game, play, information)
    found = conditions(game, policies, rule)
    x = states[..., :-1, :]
    if information is InformationStructure.OPEN_LOOP:
        rest, terms = _left_over(found.system, controls, found.slope)
        rest = rest + (found.mixed @ x.unsqueeze(-1)).squeeze(-1)
        terms = terms + (found.mixed.abs() @ x.abs().unsqueeze(-1)).squeeze(-1)
        rest = rest.abs()
    else:
        size = reach(states)[..., None, None]
        constant, terms = _left_over(found.system, policies.feedforward, found.slope)
        linear, linear_terms = _left_over(found.system, policies.feedback, found.mixed)
        rest = torch.maximum(constant.abs(), linear.abs().amax(-1) * size)
        terms = terms + linear_terms.amax(-1) * size
    relative = torch.where((rest == 0) & (terms == 0), torch.zeros_like(rest), rest / terms)
    if information is InformationStructure.COOPERATIVE:
        return relative.amax(-1).unsqueeze(-2)
    widths = [block.stop - block.start for block in game.control_slices]
    return torch.stack([rows.amax(-1) for rows in relative.split(widths, dim=-1)], dim=-2)


def _left_over(system: Tensor, move: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
    """Give `system @ move + given`, and the same with magnitudes."""
    if move.ndim == system.ndim:
        return system @ move + given, system.abs() @ move.abs() + given.abs()
    rest = (system @ move.unsqueeze(-1)).squeeze(-1) + given
    return rest, (system.abs() @ move.abs().unsqueeze(-1)).squeeze(-1) + given.abs()
