r"""The most that a decision maker can gain by deviating alone.

Each re-optimises its whole policy exactly, against the others' fixed policies (feedback) or fixed
control sequences (open loop). With `e_t = u^i_t - (best response at x_t)` on the path of the play,

    J^i - min J^i = sum_t 1/2 e_t' q_uu,ii e_t

(completion of squares), which no cancellation spoils. In feedback play the same is asked of every
subgame: with `z = (x, 1)`, `e_t = E_t z_t` and the closed loop `z_{t+1} = F_t z_t`, what is gained
from stage t on is `1/2 z' G_t z`, `G_t = E_t' q_uu,ii E_t + F_t' G_{t+1} F_t`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import non_negative
from ocngame.bellman import AffinePolicy, best_response, owners
from ocngame.equilibria.play import Play, committed, decision_game, path, reach
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, LQGame
from ocngame.games.lq import sum_of_terms

__all__ = ["DeviationGain", "deviation_gain", "own_curvature"]


@dataclass(frozen=True, kw_only=True)
class DeviationGain:
    """What D decision makers (the players, or one coalition) can gain alone.

    Attributes:
        gain: From the initial state, shape (..., D); infinite where the own problem is unbounded
            or degenerate, NaN where the play is NaN.
        subgame_gain: The most over all stages and all states within the radius of the path, in
            feedback play; the gain itself in open loop. Shape (..., D).
        scale: Sum of the magnitudes of all terms of the cost on the path, shape (..., D).
        subgame_scale: The same with the largest state cost at the radius, shape (..., D).
        own_curvature: Smallest eigenvalue of the own problem's Hessian at each stage, relative to
            its largest entry, shape (..., D, T).
    """

    gain: Tensor
    subgame_gain: Tensor
    scale: Tensor
    subgame_scale: Tensor
    own_curvature: Tensor

    @property
    def relative(self) -> Tensor:
        """The gain as a part of the scale, shape (..., D)."""
        return _ratio(self.gain, self.scale)

    @property
    def subgame_relative(self) -> Tensor:
        """The subgame gain as a part of its scale, shape (..., D)."""
        return _ratio(self.subgame_gain, self.subgame_scale)


def deviation_gain(
    game: LQGame,
    play: Play,
    information: InformationStructure | None = None,
    *,
    radius: float | None = None,
    least_curvature: float = 0.0,
) -> DeviationGain:
    """Give the maximal unilateral gain of every decision maker, exactly.

    Args:
        game: The game.
        play: The play, with its initial state.
        information: The information structure to judge by; the play's own if None. Zero-sum and
            own-block play are judged as feedback.
        radius: How far off the path subgames start; the largest state on the path if None, one
            for a path at the origin.
        least_curvature: Relative own curvature at or below which a decision maker counts as able
            to gain without bound.

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
    if information is InformationStructure.STACKELBERG:
        raise InvalidInputError(
            "information: expected play in which nobody answers a deviation, got stackelberg; "
            "its residuals can be had"
        )
    states, controls = path(game, play)
    deciders = decision_game(game, play, information)
    policies = committed(game, play, information)
    response = best_response(deciders, policies)
    curved = response.curvature
    gap = _gap(deciders, policies, response.policies)
    error = gap @ _homogeneous(states)[..., None, :-1, :, None]
    at_stage = 0.5 * (error.mT @ curved @ error).squeeze(-1).squeeze(-1)
    on_path = at_stage.flip(-1).cumsum(-1).flip(-1)
    gain, subgame = on_path[..., 0], on_path[..., 0]
    scale = sum_of_terms(deciders, states, controls)[1]
    subgame_scale = scale
    if information is not InformationStructure.OPEN_LOOP:
        away = reach(states) if radius is None else torch.full_like(states[..., 0, 0], radius)
        away = away[..., None, None]
        hessians = _gain_hessians(deciders, policies, gap.mT @ curved @ gap)[..., :-1, :-1]
        off_path = 0.5 * _largest_eigenvalue(hessians)
        subgame = (on_path.clamp_min(0).sqrt() + away * off_path.sqrt()).square().amax(-1)
        most = deciders.Q.detach().abs().amax((-3, -2, -1))
        subgame_scale = scale + 0.5 * away.squeeze(-1).square() * most
    size = curved.detach().abs().amax((-2, -1))
    curvature = _ratio(response.own_curvature, size)
    bad = (curvature <= least_curvature).any(-1)
    broken = torch.isnan(curvature).any(-1)
    gain, subgame = (
        part.masked_fill(bad, torch.inf).masked_fill(broken & ~bad, torch.nan)
        for part in (gain, subgame)
    )
    return DeviationGain(
        gain=gain,
        subgame_gain=subgame,
        scale=scale,
        subgame_scale=subgame_scale,
        own_curvature=curvature,
    )


def own_curvature(
    game: LQGame, play: Play, information: InformationStructure | None = None
) -> Tensor:
    """Give the second-order certificate of every decision maker's own problem.

    Args:
        game: The game.
        play: The play; in open loop with its initial state.
        information: The information structure to judge by; the play's own if None.

    Returns:
        Smallest eigenvalues of the own Hessian at each stage of the best response, shape
        (..., D, T). All are positive if and only if the own cost is strictly convex in the own
        remaining controls.

    Raises:
        InvalidInputError: if the play does not fit the game.
    """
    information = play.information if information is None else information
    deciders = decision_game(game, play, information)
    return best_response(deciders, committed(game, play, information)).own_curvature


def _homogeneous(states: Tensor) -> Tensor:
    return torch.cat([states, torch.ones_like(states[..., :1])], dim=-1)


def _gap(game: LQGame, policies: AffinePolicy, best: AffinePolicy) -> Tensor:
    """Give E_t of every decision maker, shape (..., D, T, m, n+1)."""
    own = owners(game.control_slices, game.control_size, game.A.device)[:, None, :, None]
    played = torch.cat([policies.feedback, policies.feedforward.unsqueeze(-1)], dim=-1)
    answer = torch.cat([best.feedback, best.feedforward.unsqueeze(-1)], dim=-1)
    return torch.where(own, played.unsqueeze(-4) - answer, 0)


def _gain_hessians(game: LQGame, policies: AffinePolicy, stage: Tensor) -> Tensor:
    """Give G_t of every decision maker, shape (..., D, T, n+1, n+1)."""
    played = torch.cat([policies.feedback, policies.feedforward.unsqueeze(-1)], dim=-1)
    loop = torch.cat([game.A, game.c.unsqueeze(-1)], dim=-1) + game.B @ played
    last = torch.zeros_like(loop[..., :1, :])
    last[..., -1] = 1
    loop = torch.cat([loop, last], dim=-2).unsqueeze(-4)
    total = [stage[..., -1, :, :]]
    for t in reversed(range(game.horizon - 1)):
        F = loop[..., t, :, :]
        total.append(stage[..., t, :, :] + F.mT @ total[-1] @ F)
    return torch.stack(total[::-1], dim=-3)


def _largest_eigenvalue(matrix: Tensor) -> Tensor:
    finite = torch.isfinite(matrix).all(-1).all(-1)
    safe = torch.where(finite[..., None, None], matrix, 0)
    value = torch.linalg.eigvalsh(0.5 * (safe + safe.mT))[..., -1].clamp_min(0)
    return torch.where(finite, value, torch.nan)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where((part == 0) & (whole == 0), torch.zeros_like(part), part / whole)
