r"""Controls in very different units: solved in units of their own.

A coalition, or a player with several controls, has positive curvature if the smallest eigenvalue of
a matrix over them is positive; with controls whose curvatures differ by more than the dtype
resolves (newtons beside giganewtons) rounding hides it. With `u = S v`, S diagonal with powers of
two, the game in v has curvatures of one size,

    B -> B S,   R -> S R S,   r -> S r,   M -> M S,        policies k -> S k,  K -> S K

and not a bit is lost by the change.
"""

import torch
from torch import Tensor

from ocngame._tensor_checks import known
from ocngame.bellman import AffinePolicy, StageRule
from ocngame.games import InformationStructure, LQGame

__all__ = ["control_units", "costs_of_one_size", "in_units", "out_of_units"]

APART = 1e6


def control_units(game: LQGame, rule: StageRule) -> Tensor | None:
    """Give S where one decision maker's controls differ in curvature by more than a million.

    Curvatures are read off `R + B' Q B` at the last stage. In announced play all controls meet in
    the leader's conditions and count as one decision maker's, each with its owner's cost.

    Args:
        game: The game.
        rule: Who moves, under which information.

    Returns:
        Powers of two, shape (m,); None where no change is needed.
    """
    some = game.A.detach()[..., 0, 0, 0]
    if not known((some == some).all()):  # Inside torch.vmap no value can be looked at.
        return None
    if rule.information is InformationStructure.COOPERATIVE:
        game, groups = game.team(rule.weights), [slice(0, game.control_size)]
    elif rule.information is InformationStructure.OPEN_LOOP_STACKELBERG:
        game, groups = costs_of_one_size(game), [slice(0, game.control_size)]
    else:
        groups = [block for block in game.control_slices if block.stop - block.start > 1]
    if not groups:
        return None
    sizes = _curvatures(game)
    units, apart = torch.ones_like(sizes), sizes.new_zeros(())
    for block in groups:
        own = sizes[block]
        most, least = own.amax(), torch.where(own > 0, own, torch.inf).amin()
        ratio = most / least
        apart = torch.maximum(apart, ratio)
        change = torch.exp2(torch.round(0.5 * torch.log2(most / own)))
        fine = (own > 0) & (ratio > APART) & torch.isfinite(change)
        units[block] = torch.where(fine, change, 1)
    return units if known(apart > APART) else None


def _curvatures(game: LQGame) -> Tensor:
    """Give a size of every control's curvature in its owner's cost, shape (m,)."""
    m = game.control_size
    sizes = game.R.new_zeros(m)
    reach = game.B[..., -1, :, :].detach().square().sum(-2).reshape(-1, m).amax(0)
    for i, block in enumerate(game.control_slices):
        own = game.R[..., i, -1, :, :].detach().diagonal(dim1=-2, dim2=-1).abs()
        state = game.Q[..., i, -1, :, :].detach().abs().amax()
        sizes[block] = (own.reshape(-1, m).amax(0) + state * reach)[block]
    return sizes


def costs_of_one_size(game: LQGame) -> LQGame:
    """Bring all players' state costs to a size of about one, by powers of two.

    Args:
        game: The game.

    Returns:
        The game with the same equilibria.
    """
    state, control = (
        part.detach().abs().movedim(-4, 0).flatten(1).amax(-1) for part in (game.Q, game.R)
    )
    size = torch.where(state > 0, state, control)
    size = torch.where(size > 0, size, 1)
    factor = torch.exp2(-torch.round(torch.log2(size)))
    wide, narrow = factor.reshape(-1, 1, 1, 1), factor.reshape(-1, 1, 1)
    return LQGame(
        A=game.A,
        B=game.B,
        c=game.c if game.has_offset else None,
        Q=wide * game.Q,
        q=narrow * game.q,
        R=wide * game.R,
        r=narrow * game.r,
        M=wide * game.M,
        control_slices=game.control_slices,
    )


def in_units(game: LQGame, units: Tensor) -> LQGame:
    """Write a game in other units of its controls.

    Args:
        game: The game.
        units: S, shape (m,).

    Returns:
        The game in v.
    """
    return LQGame(
        A=game.A,
        B=game.B * units,
        c=game.c if game.has_offset else None,
        Q=game.Q,
        q=game.q,
        R=units.unsqueeze(-1) * game.R * units,
        r=game.r * units,
        M=game.M * units,
        control_slices=game.control_slices,
    )


def out_of_units(policies: AffinePolicy, units: Tensor) -> AffinePolicy:
    """Write policies of v as those of u.

    Args:
        policies: Feedforward (..., T, m) and feedback (..., T, m, n) of v.
        units: S, shape (m,).

    Returns:
        The policies of u.
    """
    return AffinePolicy(
        feedforward=policies.feedforward * units,
        feedback=policies.feedback * units.unsqueeze(-1),
    )
