"""Of which information structures is a point an equilibrium?"""

from collections.abc import Mapping

import torch
from torch import Tensor

from ocngame._checks import positive
from ocngame.bellman import StageRule
from ocngame.equilibria.about_path import KINDS, about_path
from ocngame.equilibria.deviation import deviation_gain
from ocngame.equilibria.play import Candidate, Play, PlayWithMultipliers
from ocngame.equilibria.residuals import conditions, residuals
from ocngame.equilibria.search import DeviationSearch
from ocngame.games import InformationStructure, LQGame, NonlinearGame
from ocngame.games.expansion import constraint_values
from ocngame.linalg import smallest_eigenvalue

__all__ = ["classify", "is_equilibrium"]


def is_equilibrium(
    game: LQGame | NonlinearGame,
    play: Play,
    information: InformationStructure | None = None,
    *,
    tolerance: float,
    least_curvature: float = 0.0,
    search: DeviationSearch | None = None,
) -> Tensor:
    """Say whether a play is an equilibrium, by first order, second order and deviation gain.

    Of a nonlinear game the answer is whether it is a local one from which a search found no gain;
    constraints have to be met, their multipliers to be non-negative and complementary.

    Args:
        game: The game.
        play: The play, with its initial state; with constraints, with its multipliers.
        information: The information structure to judge by; the play's own if None.
        tolerance: Largest relative residual and relative (subgame) gain that pass, and the largest
            violation and product with its multiplier of a constraint.
        least_curvature: Relative own curvature that has to be exceeded.
        search: For a nonlinear game, from where and how long to look for deviations.

    Returns:
        The verdict on each batch element, shape (...); NaN anywhere is a no.

    Raises:
        InvalidInputError: if the play does not fit the game.
    """
    positive("tolerance", tolerance)
    information = play.information if information is None else information
    stationary = (residuals(game, play, information) <= tolerance).all(-1).all(-1)
    answered = information in {InformationStructure.STACKELBERG, InformationStructure.OWN_BLOCK}
    if answered and isinstance(game, LQGame):
        rule = StageRule(slices=game.control_slices, information=information, leader=play.leader)
        blocks = conditions(game, play.policies, rule).curvature
        curvature = torch.stack(
            [smallest_eigenvalue(block) / block.detach().abs().amax((-2, -1)) for block in blocks],
            dim=-2,
        )
        return stationary & (curvature > least_curvature).all(-1).all(-1)
    if isinstance(game, NonlinearGame):
        found = deviation_gain(
            game, play, information, least_curvature=least_curvature, search=search
        )
        stationary &= _meets_constraints(game, play, information, tolerance)
    else:
        found = deviation_gain(game, play, information, least_curvature=least_curvature)
    content = (found.subgame_relative <= tolerance).all(-1)
    return stationary & content


def classify(
    game: LQGame | NonlinearGame,
    play: Play,
    *,
    tolerance: float,
    least_curvature: float = 0.0,
    weights: Tensor | None = None,
    leader: int | None = None,
) -> Mapping[InformationStructure, Tensor]:
    """Say of which information structures a play is an equilibrium.

    Args:
        game: The game.
        play: The play, with its initial state.
        tolerance: Largest relative residual and relative (subgame) gain that pass.
        least_curvature: Relative own curvature that has to be exceeded.
        weights: Weights for the cooperative verdict, shape (..., N); the play's own if None, all
            one if it has none.
        leader: Leader for the Stackelberg verdict; the play's own if None.

    Returns:
        The verdict of every information structure that applies, each of shape (...): zero-sum only
        for opposite costs, Stackelberg only with a leader; for a nonlinear game feedback, open loop
        and cooperative.

    Raises:
        InvalidInputError: if the play does not fit the game.
    """
    weights = play.weights if weights is None else weights
    leader = play.leader if leader is None else leader
    verdicts: dict[InformationStructure, Tensor] = {}
    multipliers = play.multipliers if isinstance(play, PlayWithMultipliers) else None
    for information in InformationStructure:
        if not _applies(game, information, leader):
            continue
        seen = Candidate(
            policies=play.policies,
            x0=play.x0,
            information=information,
            weights=weights,
            leader=leader,
            multipliers=multipliers,
        )
        verdicts[information] = is_equilibrium(
            game, seen, tolerance=tolerance, least_curvature=least_curvature
        )
    return verdicts


def _applies(
    game: LQGame | NonlinearGame, information: InformationStructure, leader: int | None
) -> bool:
    if isinstance(game, NonlinearGame):
        return information in KINDS
    if information is InformationStructure.OPEN_LOOP_STACKELBERG:
        return False
    if information is InformationStructure.ZERO_SUM:
        return game.is_zero_sum
    return information is not InformationStructure.STACKELBERG or leader is not None


def _meets_constraints(
    game: NonlinearGame, play: Play, information: InformationStructure, tolerance: float
) -> Tensor:
    """Say whether constraints and multipliers satisfy `h <= 0`, `y >= 0`, `y h = 0`."""
    about = about_path(game, play, information)
    met = about.sound
    if about.multipliers is not None:
        y = about.multipliers
        values = constraint_values(about.deciders, about.xs, about.us)
        for weights, h in zip((y.running, y.terminal), values, strict=True):
            fine = (h <= tolerance) & (weights >= 0) & ((weights * h).abs() <= tolerance)
            met = met & fine.flatten(1).all(-1)
    return met.reshape(about.batch)
