"""Who moves under which information: what the user asked for, checked against the game."""

from torch import Tensor

from ocngame._tensor_checks import finite, shaped
from ocngame.bellman import StageRule
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, LQGame

__all__ = ["stage_rule"]


def stage_rule(
    game: LQGame, information: InformationStructure, weights: Tensor | None, leader: int | None
) -> StageRule:
    """Make the rule of a stage from what the user asked for.

    Args:
        game: The game.
        information: The information structure.
        weights: Weights of cooperative play, or None.
        leader: Leader of Stackelberg play, or None.

    Returns:
        The rule.

    Raises:
        InvalidInputError: naming the argument that does not fit the game.
    """
    if weights is not None:
        if information is not InformationStructure.COOPERATIVE:
            raise InvalidInputError(
                f"weights: expected None unless play is cooperative, got weights for {information}"
            )
        shaped("weights", weights, "... N", N=game.player_count)
        finite("weights", weights.detach())
        weights = weights.to(game.A)
        if bool((weights < 0).any()) or not bool((weights.sum(-1) > 0).all()):
            raise InvalidInputError(
                f"weights: expected non-negative weights, not all zero, got {weights.tolist()}"
            )
    if information in {
        InformationStructure.STACKELBERG,
        InformationStructure.OPEN_LOOP_STACKELBERG,
    }:
        if leader is None or not 0 <= leader < game.player_count:
            raise InvalidInputError(
                f"leader: expected the index of a player in 0..{game.player_count - 1}, "
                f"got {leader}"
            )
    elif leader is not None:
        raise InvalidInputError(f"leader: expected None for {information} play, got {leader}")
    if information is InformationStructure.ZERO_SUM and not game.is_zero_sum:
        raise InvalidInputError(
            "game: expected two players with opposite costs for zero-sum play, got "
            f"{game.player_count} player(s) whose costs do not cancel"
        )
    return StageRule(
        slices=game.control_slices, information=information, weights=weights, leader=leader
    )
