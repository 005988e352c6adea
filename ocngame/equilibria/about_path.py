r"""A play of a nonlinear game, as a play of the quadratic game about its path.

About the path (x, u) of a play with gains K (zero in open loop), player i's own problem is to
second order that of the costs with the Hessians of

    l^i(z) + lambda^i_{t+1}' f(z),      z = (x, u)

and lambda the gradient of its cost-to-go when everybody plays on (`ocngame.bellman.curved`). The
quadratic game is written about the origin, not in deviations,

    q -> l_x - Q x - M u,    r -> l_u - R u - M' x,    c = x_{t+1} - A x_t - B u_t

so the play itself is a play of it, on the same path, and what judges linear-quadratic games judges
first and second order here. On a linear-quadratic game written as functions it is that game.

With constraints, first derivatives are those of the Lagrangians at the play's multipliers, and
second ones those of the augmented Lagrangians, whose minimum is no larger than the constrained one.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ocngame._tensor_checks import finite, same_kind, shaped
from ocngame.bellman import AffinePolicy, constant_policies
from ocngame.bellman.curved import path_pass, quadratic_game
from ocngame.bellman.trajectory import about_origin, play_nonlinear
from ocngame.equilibria.play import Candidate, Play, PlayWithMultipliers
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, LQGame, NonlinearGame
from ocngame.games.expansion import Expansion, Multipliers, expand

__all__ = ["AboutPath", "about_path"]

KINDS = (
    InformationStructure.FEEDBACK,
    InformationStructure.OPEN_LOOP,
    InformationStructure.COOPERATIVE,
)


@dataclass(frozen=True, kw_only=True)
class AboutPath:
    """The quadratic games about B paths; zero where a path is not finite.

    Attributes:
        deciders: The nonlinear game among the decision makers.
        quadratic: The quadratic games, batch (B).
        play: The play, as one of the quadratic games.
        information: The information structure to judge it by there.
        xs: States, shape (B, T+1, n).
        us: Joint controls, shape (B, T, m).
        feedback: K, shape (B, T, m, n); zero in open loop.
        multipliers: Multipliers of the constraints, or None.
        sound: Whether everything is finite, shape (B,).
        batch: The play's batch shape.
    """

    deciders: NonlinearGame
    quadratic: LQGame
    play: Candidate
    information: InformationStructure
    xs: Tensor
    us: Tensor
    feedback: Tensor
    multipliers: Multipliers | None
    sound: Tensor
    batch: torch.Size

    def shaped(self, part: Tensor) -> Tensor:
        """Bring what was found of every path to the play's batch shape.

        Args:
            part: Numbers, shape (B, ...).

        Returns:
            The numbers, NaN where the path is not finite, shape (..., ...).
        """
        sound = self.sound.reshape(-1, *(1,) * (part.ndim - 1))
        return torch.where(sound, part, torch.nan).reshape(*self.batch, *part.shape[1:])


@torch.no_grad()
def about_path(
    game: NonlinearGame,
    play: Play,
    information: InformationStructure,
    multipliers: Multipliers | None = None,
) -> AboutPath:
    """Expand a game about the path of a play.

    Args:
        game: The game.
        play: The play, with its initial state.
        information: Feedback, open loop or cooperative.
        multipliers: Multipliers of the constraints; the play's own if None.

    Returns:
        The quadratic game and the play of it.

    Raises:
        InvalidInputError: if the play does not fit the game, or a game with constraints comes
            without multipliers.
    """
    x0 = _check(game, play, information)
    if multipliers is None and isinstance(play, PlayWithMultipliers):
        multipliers = play.multipliers
    if game.constraints and multipliers is None:
        raise InvalidInputError("multipliers: expected those of the game's constraints, got None")
    if information is InformationStructure.COOPERATIVE:
        game = game.team(None if play.weights is None else play.weights.tolist())
        information = InformationStructure.FEEDBACK
    states, controls = play_nonlinear(game, play.policies, x0)
    batch = states.shape[:-2]
    xs, us = (part.reshape(-1, *part.shape[-2:]) for part in (states, controls))
    K = play.policies.feedback.expand(*batch, *play.policies.feedback.shape[-3:])
    K = K.reshape(-1, *K.shape[-3:])
    if information is InformationStructure.OPEN_LOOP:
        K = torch.zeros_like(K)
    y = None if multipliers is None or not game.constraints else multipliers.flat(batch)
    expansion = _expanded(game, xs, us, y)
    sound = _sound((xs, us, K, *(getattr(expansion, name) for name in _NAMES)))
    xs, us, K = (torch.where(_along(sound, part), part, 0) for part in (xs, us, K))
    parts = {name: getattr(expansion, name) for name in _NAMES}
    clean = {name: torch.where(_along(sound, part), part, 0) for name, part in parts.items()}
    expansion = Expansion(**clean)
    slices = tuple(game.control_slices)
    moved = quadratic_game(expansion, path_pass(expansion, K).slopes, slices)
    policies = about_origin(xs, us, K)
    if information is InformationStructure.OPEN_LOOP:
        policies = constant_policies(us, game.state_size)
    return AboutPath(
        deciders=game,
        quadratic=_about_origin(moved, xs, us),
        play=Candidate(policies=policies, x0=xs[:, 0], information=information),
        information=information,
        xs=xs,
        us=us,
        feedback=K,
        multipliers=y,
        sound=sound,
        batch=batch,
    )


_NAMES = ("f_z", "f_zz", "l_z", "l_zz", "phi_x", "phi_xx")


def _check(game: NonlinearGame, play: Play, information: InformationStructure) -> Tensor:
    if information not in KINDS:
        raise InvalidInputError(
            f"information: expected one of {', '.join(KINDS)} for a nonlinear game, "
            f"got {information}"
        )
    sizes = {"T": game.horizon, "m": game.control_size, "n": game.state_size}
    policies: AffinePolicy = play.policies
    shaped("policies.feedforward", policies.feedforward, "... T m", **sizes)
    shaped("policies.feedback", policies.feedback, "... T m n", **sizes)
    if play.x0 is None:
        raise InvalidInputError("x0: expected an initial state of the play, got None")
    shaped("x0", play.x0, "... n", n=game.state_size)
    same_kind("policies.feedforward", policies.feedforward, play.x0, "x0")
    same_kind("policies.feedback", policies.feedback, play.x0, "x0")
    finite("x0", play.x0)
    return play.x0


def _expanded(game: NonlinearGame, xs: Tensor, us: Tensor, y: Multipliers | None) -> Expansion:
    """Expand, with the Lagrangian's first and the augmented Lagrangian's second derivatives."""
    expansion = expand(game, xs, us, multipliers=y)
    if y is None:
        return expansion
    plain = replace(y, penalty=torch.zeros_like(y.penalty))
    first = expand(game, xs, us, multipliers=plain, dynamics_hessian=False)
    return replace(expansion, l_z=first.l_z, phi_x=first.phi_x)


def _about_origin(moved: LQGame, xs: Tensor, us: Tensor) -> LQGame:
    """Write a game in deviations from paths as one about the origin."""
    x, u = xs.unsqueeze(1).unsqueeze(-1), us.unsqueeze(1).unsqueeze(-1)
    slope = moved.q - (moved.Q @ x).squeeze(-1)
    push = (moved.M @ u).squeeze(-1)
    slope = torch.cat([slope[..., :-1, :] - push, slope[..., -1:, :]], dim=-2)
    pull = moved.r - (moved.R @ u + moved.M.mT @ x[..., :-1, :, :]).squeeze(-1)
    led = (moved.A @ xs[:, :-1].unsqueeze(-1) + moved.B @ us.unsqueeze(-1)).squeeze(-1)
    return LQGame(
        A=moved.A,
        B=moved.B,
        c=xs[:, 1:] - led,
        Q=moved.Q,
        q=slope,
        R=moved.R,
        r=pull,
        M=moved.M,
        control_slices=moved.control_slices,
    )


def _sound(parts: tuple[Tensor, ...]) -> Tensor:
    return torch.stack([torch.isfinite(part).flatten(1).all(-1) for part in parts]).all(0)


def _along(sound: Tensor, part: Tensor) -> Tensor:
    return sound.reshape(-1, *(1,) * (part.ndim - 1))
