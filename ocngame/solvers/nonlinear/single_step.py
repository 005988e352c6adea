r"""One step of iterative LQ without a search: what a planner in real time can afford at each move.

About the path that given controls make from x_0, costs and dynamics are expanded, Hessians are
projected on the positive semi-definite cone (a safe point of `ocngame.solvers.nonlinear.point`),
the quadratic game is solved once, and its policies `u = us + k + K (x - xs)` are rolled out on the
game itself. Where the dynamics are affine and the costs convex and quadratic the result is the
equilibrium; else it is the start of the next step when the game is played on, as in real-time
iteration (Diehl, Bock & Schloeder, SIAM J. Control Optim. 43, 2005): nothing says how far from an
equilibrium it is, and nothing makes the residual fall.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._tensor_checks import shaped
from ocngame.bellman import AffinePolicy, StageRule, constant_policies
from ocngame.bellman.trajectory import follow, play_nonlinear
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, NonlinearGame
from ocngame.solvers.nonlinear.point import Problem, evaluate

__all__ = ["SingleStep", "quadratic_step"]


@dataclass(frozen=True)
class SingleStep:
    """Paths after a step, and the policies along them.

    Attributes:
        states: Shape (B, T+1, n).
        controls: Joint controls, shape (B, T, m).
        feedback: K, shape (B, T, m, n).
        sound: Whether the step's numbers were finite, shape (B,); an element where they were not
            keeps the controls that it came with, and its feedback is zero.
    """

    states: Tensor
    controls: Tensor
    feedback: Tensor
    sound: Tensor


@torch.no_grad()
def quadratic_step(game: NonlinearGame, x0: Tensor, controls: Tensor) -> SingleStep:
    """Make one step of feedback play from given controls, without a search.

    Args:
        game: The game, without constraints.
        x0: Initial states, shape (B, n).
        controls: Joint controls, shape (B, T, m).

    Returns:
        The paths reached.

    Raises:
        InvalidInputError: if the game has constraints, or a shape does not fit.
    """
    sizes = {"T": game.horizon, "m": game.control_size, "n": game.state_size}
    shaped("x0", x0, "B n", **sizes)
    shaped("controls", controls, "B T m", **sizes)
    if game.constraints:
        raise InvalidInputError(
            f"game: expected one without constraints, got {len(game.constraints)}"
        )
    rule = StageRule(slices=tuple(game.control_slices), information=InformationStructure.FEEDBACK)
    problem = Problem(game=game, rule=rule, dynamics_hessian=False)
    xs, us = play_nonlinear(game, constant_policies(controls, game.state_size), x0)
    nothing = x0.new_zeros(len(x0))
    point = evaluate(problem, xs, us, nothing > 0, nothing, None)
    sound = torch.isfinite(point.merit)
    k = point.k.masked_fill(~sound[:, None, None], 0.0)
    K = point.K.masked_fill(~sound[:, None, None, None], 0.0)
    policies = AffinePolicy(feedforward=k, feedback=K)
    states, moved = follow(game, xs, us, policies, torch.ones_like(nothing), point.f_z)
    sound = sound & torch.isfinite(states).flatten(1).all(1)
    keep = ~sound[:, None, None]
    return SingleStep(
        states=torch.where(keep, xs, states),
        controls=torch.where(keep, controls, moved),
        feedback=K.masked_fill(keep.unsqueeze(-1), 0.0),
        sound=sound,
    )
