"""The maximal unilateral deviation gain, exact where it can be and searched for where not."""

from typing import overload

import torch
from torch import Tensor

from ocngame._checks import non_negative
from ocngame.equilibria.about_path import AboutPath, about_path
from ocngame.equilibria.gain import DeviationGain, Evidence
from ocngame.equilibria.lq_deviation import exact_curvature, exact_gain
from ocngame.equilibria.play import Play
from ocngame.equilibria.search import DeviationSearch, search_gains
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, LQGame, NonlinearGame

__all__ = ["deviation_gain", "own_curvature", "searched_gain"]

MARGIN = 1.01
ROUNDING = 1e4


@overload
def deviation_gain(
    game: LQGame,
    play: Play,
    information: InformationStructure | None = ...,
    *,
    radius: float | None = ...,
    least_curvature: float = ...,
) -> DeviationGain: ...


@overload
def deviation_gain(
    game: NonlinearGame,
    play: Play,
    information: InformationStructure | None = ...,
    *,
    radius: float | None = ...,
    least_curvature: float = ...,
    search: DeviationSearch | None = ...,
) -> DeviationGain: ...


def deviation_gain(
    game: LQGame | NonlinearGame,
    play: Play,
    information: InformationStructure | None = None,
    *,
    radius: float | None = None,
    least_curvature: float = 0.0,
    search: DeviationSearch | None = None,
) -> DeviationGain:
    """Give what every decision maker gains at most by deviating alone.

    It re-optimises its whole policy against the others' fixed policies (feedback) or fixed control
    sequences (open loop): exactly in a linear-quadratic game, by descents from several starts in a
    nonlinear one, whose result is a lower bound. `evidence` and `bounded` of the result say which.

    Args:
        game: The game.
        play: The play, with its initial state; with constraints, with its multipliers.
        information: The information structure to judge by; the play's own if None. Zero-sum and
            own-block play of a linear-quadratic game are judged as feedback.
        radius: How far off the path subgames start; the largest state on the path if None, one
            for a path at the origin.
        least_curvature: Relative own curvature at or below which a decision maker's own problem
            counts as degenerate.
        search: For a nonlinear game, from where and how long to descend.

    Returns:
        Gains, absolute and relative to the scale of the costs.

    Raises:
        InvalidInputError: if the play does not fit the game, or is Stackelberg play, in which a
            deviation of the leader is answered.
    """
    information = play.information if information is None else information
    non_negative("least_curvature", least_curvature)
    if radius is not None:
        non_negative("radius", radius)
    if information in {
        InformationStructure.STACKELBERG,
        InformationStructure.OPEN_LOOP_STACKELBERG,
    }:
        raise InvalidInputError(
            "information: expected play in which nobody answers a deviation, got "
            f"{information}; the residuals of stackelberg play can be had"
        )
    if isinstance(game, NonlinearGame):
        about = about_path(game, play, information)
        settings = DeviationSearch() if search is None else search
        return searched_gain(about, settings, radius=radius, least_curvature=least_curvature)
    if search is not None:
        raise InvalidInputError(
            "search: expected None for a linear-quadratic game, whose gains are exact"
        )
    return exact_gain(game, play, information, radius=radius, least_curvature=least_curvature)


def own_curvature(
    game: LQGame | NonlinearGame, play: Play, information: InformationStructure | None = None
) -> Tensor:
    """Give the second-order certificate of every decision maker's own problem.

    Args:
        game: The game.
        play: The play; in open loop and in a nonlinear game with its initial state.
        information: The information structure to judge by; the play's own if None.

    Returns:
        Smallest eigenvalues of the own Hessian at each stage of the best response, shape
        (..., D, T). All are positive if and only if the own cost is strictly convex in the own
        remaining controls, in a nonlinear game about the path.

    Raises:
        InvalidInputError: if the play does not fit the game.
    """
    information = play.information if information is None else information
    if isinstance(game, NonlinearGame):
        about = about_path(game, play, information)
        return about.shaped(exact_curvature(about.quadratic, about.play, about.information))
    return exact_curvature(game, play, information)


@torch.no_grad()
def searched_gain(
    about: AboutPath, search: DeviationSearch, *, radius: float | None, least_curvature: float
) -> DeviationGain:
    """Search for gains on a nonlinear game, and read the rest off the quadratic game.

    Args:
        about: The play and the quadratic game about its path.
        search: From where and how long to descend.
        radius: How far off the path subgames start; the largest state on the path if None.
        least_curvature: Relative own curvature at or below which an own problem is degenerate.

    Returns:
        The gains.
    """
    second = exact_gain(
        about.quadratic,
        about.play,
        about.information,
        radius=radius,
        least_curvature=least_curvature,
    )
    gain = torch.full_like(second.gain, torch.nan)
    index = about.sound.nonzero().squeeze(-1)
    if len(index):
        gain[index] = search_gains(about, index, search)
    scale = about.deciders.cost_terms(about.xs, about.us).abs().sum(-1)
    convex = (second.own_curvature > least_curvature).all(-1)
    rounding = ROUNDING * torch.finfo(gain.dtype).eps * scale
    subgame = gain
    if about.information is not InformationStructure.OPEN_LOOP:
        subgame = torch.maximum(gain, second.subgame_gain)
    return DeviationGain(
        gain=about.shaped(gain),
        subgame_gain=about.shaped(torch.where(convex, subgame, torch.inf)),
        scale=about.shaped(scale),
        subgame_scale=about.shaped(scale + (second.subgame_scale - second.scale)),
        own_curvature=about.shaped(second.own_curvature),
        evidence=Evidence.SEARCH,
        bounded=(convex & (second.gain <= MARGIN * gain + rounding) & about.sound[:, None]).reshape(
            *about.batch, -1
        ),
    )
