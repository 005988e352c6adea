r"""Is a play of a nonlinear game an equilibrium? Numbers in the units of the game.

* residuals: the norm of each decision maker's own gradient on the original game, with respect to
  its own feedforward and all gains held (feedback), or to its own sequence (open loop);
* own curvature: positive if and only if the own cost is strictly convex about the path, with the
  true Hessians of costs and dynamics;
* gain mismatch, feedback only: how far K is from the gains that answer best, to first order, to a
  state off the path;
* deviation gain: the best of several descents on the own cost (`ocngame.equilibria.search`).
  It is what was found, not a bound: the own problem may not be convex.

With constraints, costs are the Lagrangians at given multipliers (the augmented ones, for
curvatures and gains, whose minimum is no larger than the constrained one).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import integer, non_negative, positive
from ocngame.bellman import best_response
from ocngame.equilibria.about_path import AboutPath, about_path
from ocngame.equilibria.gain import ratio
from ocngame.equilibria.play import Play
from ocngame.equilibria.residuals import own_gradient
from ocngame.equilibria.search import DeviationSearch, search_gains
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, NonlinearGame
from ocngame.games.expansion import Multipliers

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
        return ratio(self.gain, self.scale)

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
        multipliers: Multipliers (..., T, C), (..., C') and penalty (...) of the constraints; the
            play's own if None.

    Returns:
        The report.

    Raises:
        InvalidInputError: if the play does not fit the game, constraints come without multipliers,
            or random starts without a generator.
    """
    information = play.information if information is None else information
    non_negative("spread", spread)
    integer("max_iterations", max_iterations, low=1)
    integer("starts", starts, low=0)
    if starts and generator is None:
        raise InvalidInputError("generator: expected a torch.Generator for random starts, got None")
    about = about_path(game, play, information, multipliers)
    residuals, curvature, mismatch = _local(about)
    gain = torch.full_like(residuals, torch.nan)
    index = about.sound.nonzero().squeeze(-1)
    if len(index):
        search = DeviationSearch(starts=starts, spread=spread, max_iterations=max_iterations)
        gain[index] = search_gains(about, index, search, generator)
    scale = about.deciders.cost_terms(about.xs, about.us).abs().sum(-1)
    return NonlinearReport(
        residuals=about.shaped(residuals),
        own_curvature=about.shaped(curvature),
        gain_mismatch=about.shaped(mismatch),
        gain=about.shaped(gain),
        scale=about.shaped(scale),
    )


def _local(about: AboutPath) -> tuple[Tensor, Tensor, Tensor]:
    """Residuals (B, D), relative curvatures (B, D, T) and gain mismatch (B, D)."""
    slices = about.quadratic.control_slices
    gradient = own_gradient(about.quadratic, about.play.policies, about.xs[:, 0])
    rows = [gradient[..., block].flatten(1).norm(dim=-1) for block in slices]
    answer = best_response(about.quadratic, about.play.policies)
    size = answer.curvature.abs().amax((-2, -1))
    K = about.feedback
    gaps = [
        (answer.policies.feedback[:, i, :, block] - K[:, :, block]).abs().flatten(1).amax(-1)
        for i, block in enumerate(slices)
    ]
    largest = K.abs().flatten(1).amax(-1, keepdim=True)
    mismatch = torch.stack(gaps, dim=-1) / torch.where(largest > 0, largest, 1)
    if about.information is InformationStructure.OPEN_LOOP:
        mismatch = torch.zeros_like(mismatch)
    curvature = answer.own_curvature / torch.where(size > 0, size, 1)
    return torch.stack(rows, dim=-1), curvature, mismatch
