"""Where an iteration begins: what the user gave as a start, and the first trajectory."""

import torch
from torch import Tensor

from ocngame._tensor_checks import finite, shaped
from ocngame.bellman import AffinePolicy, constant_policies
from ocngame.bellman.trajectory import follow, play_nonlinear
from ocngame.games import NonlinearGame
from ocngame.solvers.nonlinear.mixing import Secants
from ocngame.solvers.nonlinear.solution import NonlinearSolution, Start

__all__ = ["begin", "first_path", "first_secants"]


def begin(
    game: NonlinearGame,
    x0: Tensor,
    initial: Tensor | AffinePolicy | NonlinearSolution | Start | None,
) -> Start:
    """Read a start from what the user gave, and require that it fits.

    Args:
        game: The game.
        x0: Initial states, shape (..., n).
        initial: Controls, policies, an earlier solution or a start; zero controls if None.

    Returns:
        The start.
    """
    if initial is None:
        initial = x0.new_zeros(game.horizon, game.control_size)
    if isinstance(initial, NonlinearSolution):
        initial = initial.start()
    if isinstance(initial, Tensor):
        shaped("initial", initial, "... T m", T=game.horizon, m=game.control_size)
        initial = constant_policies(initial, game.state_size)
    if isinstance(initial, AffinePolicy):
        initial = Start(policies=initial)
    sizes = {"T": game.horizon, "m": game.control_size, "n": game.state_size}
    shaped("initial.feedforward", initial.policies.feedforward, "... T m", **sizes)
    shaped("initial.feedback", initial.policies.feedback, "... T m n", **sizes)
    finite("initial", initial.policies.feedforward)
    finite("initial", initial.policies.feedback)
    return initial


def first_path(game: NonlinearGame, start: Start, x0: Tensor) -> tuple[Tensor, Tensor]:
    """Play the first policies.

    Args:
        game: The game.
        start: The start.
        x0: Initial states, shape (..., n), with the batch of all elements.

    Returns:
        States (B, T+1, n) and controls (B, T, m).
    """
    path, batch = start.path, x0.shape[:-1]
    if path is not None:
        sizes = {"T": game.horizon, "T+1": game.horizon + 1}
        sizes |= {"n": game.state_size, "m": game.control_size}
        sizes["n+m"] = game.state_size + game.control_size
        shaped("initial.path.states", path.states, "... T+1 n", **sizes)
        shaped("initial.path.controls", path.controls, "... T m", **sizes)
        shaped("initial.path.f_z", path.f_z, "... T n n+m", **sizes)
    if path is None:
        xs, us = play_nonlinear(game, start.policies, x0)
        return xs.reshape(-1, *xs.shape[-2:]), us.reshape(-1, *us.shape[-2:])

    def flat(part: Tensor, rank: int) -> Tensor:
        kept = part.shape[part.ndim - rank :]
        return part.expand(*batch, *kept).reshape(-1, *kept)

    states, controls = flat(path.states, 2), flat(path.controls, 2)
    feedback = flat(start.policies.feedback, 3)
    # `follow` starts from the first state that it is given, and answers to the others.
    moved = torch.cat([x0.reshape(-1, 1, game.state_size), states[:, 1:]], dim=1)
    away = (feedback[:, :1] @ (moved - states)[:, :1].unsqueeze(-1)).squeeze(-1)
    policies = AffinePolicy(feedforward=torch.zeros_like(controls), feedback=feedback)
    moved_us = torch.cat([controls[:, :1] + away, controls[:, 1:]], dim=1)
    return follow(
        game, moved, moved_us, policies, torch.ones_like(moved[:, 0, 0]), flat(path.f_z, 3)
    )


def first_secants(start: Start, batch: torch.Size) -> Secants | None:
    """Give the secants of a start for every element, if it was one solution or as many.

    Args:
        start: The start.
        batch: The batch of all elements.

    Returns:
        The secants, or None.
    """
    secants, count = start.secants, batch.numel()
    if secants is None or len(secants.k) not in {1, count}:
        return None
    parts = {name: getattr(secants, name) for name in ("k", "xs", "us", "used")}
    return Secants(**{k: v.expand(count, *v.shape[1:]).clone() for k, v in parts.items()})
