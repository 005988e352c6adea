"""What is judged: policies from an initial state, whoever made them."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ocngame._tensor_checks import finite, same_kind, shaped
from ocngame.bellman import AffinePolicy, constant_policies, play_policies
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, LQGame
from ocngame.games.expansion import Multipliers

__all__ = [
    "Candidate",
    "Play",
    "PlayWithMultipliers",
    "committed",
    "decision_game",
    "in_batch",
    "path",
    "reach",
]


@runtime_checkable
class Play(Protocol):
    """Policies and what goes with them; solutions and candidates alike."""

    @property
    def information(self) -> InformationStructure:
        """The information structure under which the policies are meant."""
        ...

    @property
    def policies(self) -> AffinePolicy:
        """Joint policies, feedforward (..., T, m) and feedback (..., T, m, n)."""
        ...

    @property
    def x0(self) -> Tensor | None:
        """Initial state, shape (..., n), or None."""
        ...

    @property
    def weights(self) -> Tensor | None:
        """Weights of cooperative play, shape (..., N), or None."""
        ...

    @property
    def leader(self) -> int | None:
        """Leader of Stackelberg play, or None."""
        ...


@runtime_checkable
class PlayWithMultipliers(Protocol):
    """A play that says what its constraints cost."""

    @property
    def multipliers(self) -> Multipliers | None:
        """Multipliers (..., T, C), (..., C') and penalty (...) of the constraints, or None."""
        ...


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A point to be judged that no solver of ocngame made.

    Attributes:
        policies: Joint policies, feedforward (..., T, m) and feedback (..., T, m, n).
        x0: Initial state, shape (..., n), or None.
        information: The information structure under which the policies are meant.
        weights: Weights of cooperative play, shape (..., N), or None.
        leader: Leader of Stackelberg play, or None.
        multipliers: Multipliers (..., T, C), (..., C') and penalty (...) of a nonlinear game's
            constraints, or None.
    """

    policies: AffinePolicy
    x0: Tensor | None = None
    information: InformationStructure = InformationStructure.FEEDBACK
    weights: Tensor | None = None
    leader: int | None = None
    multipliers: Multipliers | None = None


def in_batch(game: LQGame, play: Play) -> LQGame:
    """Give the game with the batch of the play that is judged on it.

    Args:
        game: The game.
        play: The play, whose policies or initial states may have more batch dimensions.

    Returns:
        The game, repeated along the play's batch.
    """
    shapes = [game.batch_shape, play.policies.feedforward.shape[:-2]]
    shapes.append(play.policies.feedback.shape[:-3])
    if play.x0 is not None:
        shapes.append(play.x0.shape[:-1])
    return game.repeated(torch.broadcast_shapes(*shapes))


def path(game: LQGame, play: Play) -> tuple[Tensor, Tensor]:
    """Roll the play out.

    Args:
        game: The game.
        play: The play, with its initial state.

    Returns:
        States (..., T+1, n) and controls (..., T, m).

    Raises:
        InvalidInputError: if there is no initial state, or shapes do not fit the game.
    """
    sizes = {"T": game.horizon, "m": game.control_size, "n": game.state_size}
    shaped("policies.feedforward", play.policies.feedforward, "... T m", **sizes)
    shaped("policies.feedback", play.policies.feedback, "... T m n", **sizes)
    if play.x0 is None:
        raise InvalidInputError("x0: expected an initial state of the play, got None")
    shaped("x0", play.x0, "... n", n=game.state_size)
    same_kind("x0", play.x0, game.A, "game.A")
    same_kind("policies.feedback", play.policies.feedback, game.A, "game.A")
    finite("x0", play.x0.detach())
    return play_policies(game, play.policies, play.x0)


def decision_game(game: LQGame, play: Play, information: InformationStructure) -> LQGame:
    """Give the game among those who decide alone: the players, or the coalition.

    Args:
        game: The game.
        play: The play, for its weights.
        information: The information structure.

    Returns:
        The game itself, or that of the coalition.
    """
    if information is InformationStructure.COOPERATIVE:
        return game.team(play.weights)
    return game


def committed(game: LQGame, play: Play, information: InformationStructure) -> AffinePolicy:
    """Give the policies that a deviating player faces.

    Args:
        game: The game.
        play: The play.
        information: The information structure.

    Returns:
        The play's policies; in open loop the control sequence along its path, without reaction.
    """
    if information is InformationStructure.OPEN_LOOP:
        return constant_policies(path(game, play)[1], game.state_size)
    return play.policies


def reach(states: Tensor) -> Tensor:
    """Give the size of the largest state on a path, one for a path at the origin.

    Args:
        states: States, shape (..., T+1, n).

    Returns:
        The sizes, shape (...), without a gradient.
    """
    size = states.detach().norm(dim=-1).amax(-1)
    return torch.where(size == 0, torch.ones_like(size), size)
