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
from ocngame.equilibria.about_path import about_path
from ocngame.equilibria.play import Candidate, Play, committed, in_batch, path, reach
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, LQGame, NonlinearGame

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
    play = Candidate(policies=policies, x0=x0)
    game = in_batch(game, play)
    found = conditions(game, policies, StageRule(slices=game.control_slices))
    states = path(game, play)[0][..., :-1, :, None]
    feedback = found.system @ policies.feedback + found.mixed
    rows = (found.system @ policies.feedforward.unsqueeze(-1) + feedback @ states).squeeze(-1)
    rows += found.slope
    order = [c for block in game.control_slices for c in range(block.start, block.stop)]
    return rows[..., torch.tensor(order, device=rows.device).argsort()]


def residuals(
    game: LQGame | NonlinearGame, play: Play, information: InformationStructure | None = None
) -> Tensor:
    """Give the relative first-order residual of every decision maker at every stage.

    In a nonlinear game the condition is that of the quadratic game about the path
    (`ocngame.equilibria.about_path`), on the path the own gradient on the game itself.

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
    if isinstance(game, NonlinearGame):
        about = about_path(game, play, information)
        return about.shaped(_relative(about.quadratic, about.play, about.information))
    return _relative(game, play, information)


def _relative(game: LQGame, play: Play, information: InformationStructure) -> Tensor:
    if information is InformationStructure.OPEN_LOOP_STACKELBERG:
        raise InvalidInputError(
            "information: expected play whose conditions can be asked stage by stage, got "
            f"{information}; its followers can be judged as open_loop"
        )
    game = in_batch(game, play)
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
        linear, linear_terms = _left_over_columns(found.system, policies.feedback, found.mixed)
        rest = torch.maximum(constant.abs(), linear.abs().amax(-1) * size)
        terms = terms + linear_terms.amax(-1) * size
    relative = torch.where((rest == 0) & (terms == 0), torch.zeros_like(rest), rest / terms)
    if information is InformationStructure.COOPERATIVE:
        return relative.amax(-1).unsqueeze(-2)
    widths = [block.stop - block.start for block in game.control_slices]
    return torch.stack([rows.amax(-1) for rows in relative.split(widths, dim=-1)], dim=-2)


def _left_over(system: Tensor, move: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
    """Give `system @ move + given` of vectors, and the same with magnitudes."""
    rest, terms = _left_over_columns(system, move.unsqueeze(-1), given.unsqueeze(-1))
    return rest.squeeze(-1), terms.squeeze(-1)


def _left_over_columns(system: Tensor, moves: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
    """Give `system @ moves + given` of matrices, and the same with magnitudes."""
    return system @ moves + given, system.abs() @ moves.abs() + given.abs()
