"""Of which information structures is a point an equilibrium?"""

from collections.abc import Mapping

import torch
from torch import Tensor

from ocngame._checks import positive
from ocngame.bellman import StageRule
from ocngame.equilibria.deviation import deviation_gain
from ocngame.equilibria.play import Candidate, Play
from ocngame.equilibria.residuals import conditions, residuals
from ocngame.games import InformationStructure, LQGame
from ocngame.linalg import smallest_eigenvalue

__all__ = ["classify", "is_equilibrium"]


def is_equilibrium(
    game: LQGame,
    play: Play,
    information: InformationStructure | None = None,
    *,
    tolerance: float,
    least_curvature: float = 0.0,
) -> Tensor:
    """Say whether a play is an equilibrium, by first order, second order and deviation gain.

    Args:
        game: The game.
        play: The play, with its initial state.
        information: The information structure to judge by; the play's own if None.
        tolerance: Largest relative residual and relative (subgame) gain that pass.
        least_curvature: Relative own curvature that has to be exceeded.

    Returns:
        The verdict on each batch element, shape (...); NaN anywhere is a no.

    Raises:
        InvalidInputError: if the play does not fit the game.
    """
    positive("tolerance", tolerance)
    information = play.information if information is None else information
    stationary = (residuals(game, play, information) <= tolerance).all(-1).all(-1)
    if information in {InformationStructure.STACKELBERG, InformationStructure.OWN_BLOCK}:
        rule = StageRule(slices=game.control_slices, information=information, leader=play.leader)
        blocks = conditions(game, play.policies, rule).curvature
        curvature = torch.stack(
            [smallest_eigenvalue(block) / block.detach().abs().amax((-2, -1)) for block in blocks],
            dim=-2,
        )
        return stationary & (curvature > least_curvature).all(-1).all(-1)
    found = deviation_gain(game, play, information, least_curvature=least_curvature)
    content = (found.subgame_relative <= tolerance).all(-1)
    return stationary & content


def classify(
    game: LQGame,
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
        for opposite costs, Stackelberg only with a leader.

    Raises:
        InvalidInputError: if the play does not fit the game.
    """
    weights = play.weights if weights is None else weights
    leader = play.leader if leader is None else leader
    verdicts: dict[InformationStructure, Tensor] = {}
    for information in InformationStructure:
        if information is InformationStructure.ZERO_SUM and not game.is_zero_sum:
            continue
        if information is InformationStructure.STACKELBERG and leader is None:
            continue
        seen = Candidate(
            policies=play.policies,
            x0=play.x0,
            information=information,
            weights=weights,
            leader=leader,
        )
        verdicts[information] = is_equilibrium(
            game, seen, tolerance=tolerance, least_curvature=least_curvature
        )
    return verdicts
