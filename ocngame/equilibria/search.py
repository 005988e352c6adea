"""Descents from several starts: the search for deviations that gain on a nonlinear game."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import integer, non_negative
from ocngame.bellman import AffinePolicy, owners
from ocngame.bellman.trajectory import follow
from ocngame.equilibria.about_path import AboutPath
from ocngame.equilibria.own_problem import OwnProblem, improve

__all__ = ["DeviationSearch", "search_gains"]


@dataclass(frozen=True, kw_only=True)
class DeviationSearch:
    """From where, and how long, every decision maker descends on its own cost.

    Attributes:
        starts: Random starts, beside the play itself.
        spread: Standard deviation of a random start's first deviation in every own control.
        max_iterations: Most steps of a descent.
        seed: Seed of the random starts.
    """

    starts: int = 2
    spread: float = 0.1
    max_iterations: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("starts", self.starts, low=0)
        non_negative("spread", self.spread)
        integer("max_iterations", self.max_iterations, low=1)
        integer("seed", self.seed, low=0)


def search_gains(
    about: AboutPath,
    index: Tensor,
    search: DeviationSearch,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Descend from every start of every decision maker, all of them as one batch.

    Args:
        about: The play and the game among the decision makers.
        index: Which of the B paths, all of them finite, shape (b,).
        search: From where and how long to descend.
        generator: Source of the random starts; a fresh one with the seed if None.

    Returns:
        The largest gains that were found, at least zero, shape (b, D).
    """
    game, y = about.deciders, about.multipliers
    if generator is None:
        generator = torch.Generator().manual_seed(search.seed)
    b, D, S = len(index), len(game.control_slices), 1 + search.starts
    element = index.repeat_interleave(D * S)
    player = torch.arange(D, device=index.device).repeat_interleave(S).repeat(b)
    own = owners(tuple(game.control_slices), game.control_size, index.device)[player]
    problem = OwnProblem(
        game=game,
        player=player,
        own=own,
        feedback=torch.where(own[:, None, :, None], 0, about.feedback[element]),
        multipliers=None if y is None else y.take(element),
    )
    xs, us = about.xs[element], about.us[element]
    played = problem.cost(xs, us).reshape(b, D, S)[..., 0]
    if search.starts:
        move = torch.randn(us.shape, generator=generator, dtype=us.dtype)
        move = torch.where(own.unsqueeze(1), move.to(us.device) * search.spread, 0)
        move = move.reshape(b, D, S, *us.shape[1:])
        move[:, :, 0] = 0
        kick = AffinePolicy(feedforward=move.reshape(us.shape), feedback=problem.feedback)
        xs, us = follow(game, xs, us, kick, torch.ones_like(xs[:, 0, 0]))
    cost = improve(problem, xs, us, max_iterations=search.max_iterations)[2].reshape(b, D, S)
    others = torch.where(torch.isnan(cost[..., 1:]), torch.inf, cost[..., 1:])
    cost = torch.cat([cost[..., :1], others], dim=-1).amin(-1)
    return (played - cost).clamp_min(0)
