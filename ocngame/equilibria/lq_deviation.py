r"""The most that a decision maker of a linear-quadratic game can gain by deviating alone.

Each re-optimises its whole policy exactly, against the others' fixed policies (feedback) or fixed
control sequences (open loop). With `e_t = u^i_t - (best response at x_t)` on the path of the play,

    J^i - min J^i = sum_t 1/2 e_t' q_uu,ii e_t

(completion of squares), which no cancellation spoils. In feedback play the same is asked of every
subgame: with `z = (x, 1)`, `e_t = E_t z_t` and the closed loop `z_{t+1} = F_t z_t`, what is gained
from stage t on is `1/2 z' G_t z`, `G_t = E_t' q_uu,ii E_t + F_t' G_{t+1} F_t`.
"""

import torch
from torch import Tensor

from ocngame.bellman import AffinePolicy, best_response, owners
from ocngame.equilibria.gain import DeviationGain, Evidence, ratio
from ocngame.equilibria.play import Play, committed, decision_game, in_batch, path, reach
from ocngame.games import InformationStructure, LQGame
from ocngame.games.lq_costs import sum_of_terms

__all__ = ["exact_curvature", "exact_gain"]


def exact_gain(
    game: LQGame,
    play: Play,
    information: InformationStructure,
    *,
    radius: float | None,
    least_curvature: float,
) -> DeviationGain:
    """Give the maximal unilateral gain of every decision maker, exactly.

    Args:
        game: The game.
        play: The play, with its initial state.
        information: The information structure to judge by.
        radius: How far off the path subgames start; the largest state on the path if None.
        least_curvature: Relative own curvature at or below which a decision maker counts as able
            to gain without bound.

    Returns:
        Gains, absolute and relative to the scale of the costs.
    """
    game = in_batch(game, play)
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
    curvature = ratio(response.own_curvature, size)
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
        evidence=Evidence.EXACT,
        bounded=torch.isfinite(gain),
    )


def exact_curvature(game: LQGame, play: Play, information: InformationStructure) -> Tensor:
    """Give the second-order certificate of every decision maker's own problem.

    Args:
        game: The game.
        play: The play; in open loop with its initial state.
        information: The information structure to judge by.

    Returns:
        Smallest eigenvalues of the own Hessian at each stage of the best response, shape
        (..., D, T).
    """
    game = in_batch(game, play)
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
