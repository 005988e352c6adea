r"""Is a play of a nonlinear game an equilibrium? Local certificates and a search for deviations.

* residuals: the norm of each decision maker's own gradient on the original game, with respect to
  its own feedforward and all gains held (feedback), or to its own sequence (open loop);
* own curvature: positive if and only if the own cost is strictly convex about the path, with the
  true Hessians of costs and dynamics;
* gain mismatch, feedback only: how far K is from the gains that answer best, to first order, to a
  state off the path;
* deviation gain: the best of several descents on the own cost (`ocngame.equilibria.own_problem`).
  It is what was found, not a bound: the own problem may not be convex.

With constraints, costs are the Lagrangians at given multipliers (the augmented ones, for
curvatures and gains, whose minimum is no larger than the constrained one).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ocngame._checks import integer, non_negative, positive
from ocngame._tensor_checks import finite, shaped
from ocngame.bellman import AffinePolicy, best_response, owners
from ocngame.bellman.curved import path_pass, quadratic_game
from ocngame.bellman.trajectory import follow, play_nonlinear
from ocngame.equilibria.own_problem import OwnProblem, improve
from ocngame.equilibria.play import Play
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, NonlinearGame
from ocngame.games.expansion import Multipliers, expand

__all__ = ["NonlinearReport", "examine"]


@dataclass(frozen=True, kw_only=True)
class NonlinearReport:
    """What was found about a play, for D decision makers.

    Attributes:
        residuals: Norms of the own gradients, shape (..., D).
        own_curvature: Smallest eigenvalue of the own problem's Hessian at each stage, relative to
            its largest entry, shape (..., D, T).
        gain_mismatch: Largest difference between own gains and best ones, relative to the largest
            gain, shape (..., D); zero in open loop.
        gain: Largest gain of a deviation that was found, at least zero, shape (..., D).
        scale: Sum of the magnitudes of the cost at every stage, shape (..., D).
    """

    residuals: Tensor
    own_curvature: Tensor
    gain_mismatch: Tensor
    gain: Tensor
    scale: Tensor

    @property
    def relative(self) -> Tensor:
        """The gain as a part of the scale, shape (..., D)."""
        none = (self.gain == 0) & (self.scale == 0)
        return torch.where(none, torch.zeros_like(self.gain), self.gain / self.scale)

    def passes(self, *, residual: float, gain: float, mismatch: float = 1e-6) -> Tensor:
        """Say whether the play is a local equilibrium; NaN anywhere is a no.

        Args:
            residual: Largest norm of the own gradients that passes.
            gain: Largest relative gain that passes.
            mismatch: Largest gain mismatch that passes.

        Returns:
            The verdict on each batch element, shape (...).
        """
        for name, value in (("residual", residual), ("gain", gain), ("mismatch", mismatch)):
            positive(name, value)
        first = (self.residuals <= residual).all(-1) & (self.gain_mismatch <= mismatch).all(-1)
        return first & (self.own_curvature > 0).all(-1).all(-1) & (self.relative <= gain).all(-1)


@torch.no_grad()
def examine(
    game: NonlinearGame,
    play: Play,
    information: InformationStructure | None = None,
    *,
    generator: torch.Generator | None = None,
    starts: int = 2,
    spread: float = 0.1,
    max_iterations: int = 50,
    multipliers: Multipliers | None = None,
) -> NonlinearReport:
    """Examine a play of a nonlinear game.

    Args:
        game: The game.
        play: The play, with its initial state.
        information: Feedback, open loop or cooperative; the play's own if None.
        generator: Source of the random starts; needed if there are any.
        starts: Random starts of each decision maker's descent, beside the play itself.
        spread: Standard deviation of the first deviation in every own control.
        max_iterations: Most steps of a descent.
        multipliers: Multipliers (..., T, C), (..., C') and penalty (...) of the constraints.

    Returns:
        The report.

    Raises:
        InvalidInputError: if the play does not fit the game, constraints come without multipliers,
            or random starts without a generator.
    """
    information = play.information if information is None else information
    x0 = _check(game, play, information, generator, starts, multipliers)
    non_negative("spread", spread)
    integer("max_iterations", max_iterations, low=1)
    if information is InformationStructure.COOPERATIVE:
        game = game.team(None if play.weights is None else play.weights.tolist())
    states, controls = play_nonlinear(game, play.policies, x0)
    batch = states.shape[:-2]
    xs, us = (part.reshape(-1, *part.shape[-2:]) for part in (states, controls))
    K = play.policies.feedback.expand(*batch, *play.policies.feedback.shape[-3:])
    K = K.reshape(-1, *K.shape[-3:])
    if information is InformationStructure.OPEN_LOOP:
        K = torch.zeros_like(K)
    y = None if multipliers is None else multipliers.flat(batch)
    sound = torch.isfinite(xs).flatten(1).all(-1) & torch.isfinite(us).flatten(1).all(-1)
    sound &= torch.isfinite(K).flatten(1).all(-1)
    D, T = len(game.control_slices), game.horizon
    parts = {name: xs.new_full((len(xs), D), torch.nan) for name in _NAMES}
    parts["own_curvature"] = xs.new_full((len(xs), D, T), torch.nan)
    index = sound.nonzero().squeeze(-1)
    if len(index):
        chosen = None if y is None else y.take(index)
        local = _local(game, xs[index], us[index], K[index], information, chosen)
        local["gain"] = _descend(
            game, xs[index], us[index], K[index], chosen, generator, starts, spread, max_iterations
        )
        local["scale"] = game.cost_terms(xs[index], us[index]).abs().sum(-1)
        for name, part in parts.items():
            part[index] = local[name]
    return NonlinearReport(
        **{name: part.reshape((*batch, *part.shape[1:])) for name, part in parts.items()}
    )


_NAMES = ("residuals", "gain_mismatch", "gain", "scale", "own_curvature")


def _check(
    game: NonlinearGame,
    play: Play,
    information: InformationStructure,
    generator: torch.Generator | None,
    starts: int,
    multipliers: Multipliers | None,
) -> Tensor:
    kinds = ("feedback", "open_loop", "cooperative")
    if information not in kinds:
        raise InvalidInputError(
            f"information: expected one of {', '.join(kinds)} for a nonlinear game, "
            f"got {information}"
        )
    sizes = {"T": game.horizon, "m": game.control_size, "n": game.state_size}
    shaped("policies.feedforward", play.policies.feedforward, "... T m", **sizes)
    shaped("policies.feedback", play.policies.feedback, "... T m n", **sizes)
    if play.x0 is None:
        raise InvalidInputError("x0: expected an initial state of the play, got None")
    shaped("x0", play.x0, "... n", n=game.state_size)
    finite("x0", play.x0)
    integer("starts", starts, low=0)
    if starts and generator is None:
        raise InvalidInputError("generator: expected a torch.Generator for random starts, got None")
    if game.constraints and multipliers is None:
        raise InvalidInputError("multipliers: expected those of the game's constraints, got None")
    return play.x0


def _local(
    game: NonlinearGame,
    xs: Tensor,
    us: Tensor,
    K: Tensor,
    information: InformationStructure,
    y: Multipliers | None,
) -> dict[str, Tensor]:
    """Residuals, curvatures and gain mismatch of finite trajectories."""
    slices = tuple(game.control_slices)
    plain = None if y is None else replace(y, penalty=torch.zeros_like(y.penalty))
    first = path_pass(expand(game, xs, us, multipliers=plain, dynamics_hessian=False), K)
    rows = [first.gradient[:, i, :, block] for i, block in enumerate(slices)]
    expansion = expand(game, xs, us, multipliers=y)
    about = path_pass(expansion, K)
    approximation = quadratic_game(expansion, about.slopes, slices)
    answer = best_response(
        approximation, AffinePolicy(feedforward=torch.zeros_like(us), feedback=K)
    )
    size = answer.curvature.abs().amax((-2, -1))
    gaps = [
        (answer.policies.feedback[:, i, :, block] - K[:, :, block]).abs().flatten(1).amax(-1)
        for i, block in enumerate(slices)
    ]
    largest = K.abs().flatten(1).amax(-1, keepdim=True)
    gaps = torch.stack(gaps, dim=-1) / torch.where(largest > 0, largest, 1)
    if information is InformationStructure.OPEN_LOOP:
        gaps = torch.zeros_like(gaps)
    return {
        "residuals": torch.stack([row.flatten(1).norm(dim=-1) for row in rows], dim=-1),
        "own_curvature": answer.own_curvature / torch.where(size > 0, size, 1),
        "gain_mismatch": gaps,
    }


def _descend(
    game: NonlinearGame,
    xs: Tensor,
    us: Tensor,
    K: Tensor,
    y: Multipliers | None,
    generator: torch.Generator | None,
    starts: int,
    spread: float,
    max_iterations: int,
) -> Tensor:
    """Gains of all decision makers, shape (B, D): all of their descents are one batch."""
    B, D, S = len(xs), len(game.control_slices), 1 + starts
    element = torch.arange(B, device=xs.device).repeat_interleave(D * S)
    player = torch.arange(D, device=xs.device).repeat_interleave(S).repeat(B)
    own = owners(tuple(game.control_slices), game.control_size, xs.device)[player]
    problem = OwnProblem(
        game=game,
        player=player,
        own=own,
        feedback=torch.where(own[:, None, :, None], 0, K[element]),
        multipliers=None if y is None else y.take(element),
    )
    xs, us = xs[element], us[element]
    played = problem.cost(xs, us).reshape(B, D, S)[..., 0]
    if starts and generator is not None:
        move = torch.randn(us.shape, generator=generator, dtype=us.dtype).to(us.device) * spread
        move = torch.where(own.unsqueeze(1), move, 0).reshape(B, D, S, *us.shape[1:])
        move[:, :, 0] = 0
        kick = AffinePolicy(feedforward=move.reshape(us.shape), feedback=problem.feedback)
        xs, us = follow(game, xs, us, kick, torch.ones_like(xs[:, 0, 0]))
    cost = improve(problem, xs, us, max_iterations=max_iterations)[2].reshape(B, D, S)
    others = torch.where(torch.isnan(cost[..., 1:]), torch.inf, cost[..., 1:])
    cost = torch.cat([cost[..., :1], others], dim=-1).amin(-1)
    return (played - cost).clamp_min(0)
