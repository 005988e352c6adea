r"""Gradients through solutions of nonlinear games, by the implicit function theorem.

A solution is a fixed point `z = G(z, theta)` of the solver's own full step, with

    z = (controls u, gains K, multipliers y),      theta = x0 and all that the functions close over

* roll u out from x0, expand the game about that path, and solve its quadratic game: this gives the
  step (k, K); follow it to (x+, u+);
* with constraints, `y+ = max(0, y + rho h(x+, u+))`, the penalty held.

So u is fixed if and only if k = 0: in open loop and cooperative play the first-order conditions of
the trajectory, in feedback play those of the policies, whose gains K are functions of the
trajectory. By the implicit function theorem

    dL/dtheta = (dG/dtheta)' w,        w = dL/dz + (dG/dz)' w

and G is differentiated by autograd as it stands, third derivatives of the game included: the result
is exact, also for the part of the gains that depends on the trajectory. In open loop and
cooperative play the step is Newton's, so `du+/du = 0` and the equation for w is solved at once; in
feedback play it is solved by GMRES, whose operator I - (dG/dz)' is near the identity as far as the
iteration contracts. States and costs follow from u by rolling out.

With constraints the active set is held, which needs strict complementarity: where both y and h are
zero there is no derivative, and asking for it is an error. Gradients can be taken once: the result
has no second derivatives.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ocngame.bellman import AffinePolicy, StageRule
from ocngame.bellman.trajectory import follow
from ocngame.errors import ConvergenceError, NotDifferentiableError
from ocngame.games import InformationStructure, NonlinearGame
from ocngame.games.expansion import Multipliers, constraint_values, expand
from ocngame.linalg import batched_gmres
from ocngame.solvers.nonlinear.options import IterationOptions
from ocngame.solvers.nonlinear.point import Problem, run_pass
from ocngame.solvers.nonlinear.solution import NonlinearSolution

__all__ = ["attach_gradient", "wants_gradient"]

KRYLOV = 200
ENOUGH = 1e-6
STRICT = 1e-6


def wants_gradient(game: NonlinearGame, x0: Tensor, weights: Tensor | None = None) -> bool:
    """Say whether anything that a solution depends on requires a gradient.

    Args:
        game: The game, whose functions may close over tensors.
        x0: Initial states, shape (..., n).
        weights: Weights of cooperative play, or None.

    Returns:
        Whether gradients are on, and x0, the weights or a function's result require one.
    """
    if not torch.is_grad_enabled():
        return False
    if x0.requires_grad or (weights is not None and weights.requires_grad):
        return True
    x = x0.detach().reshape(-1, game.state_size)[0]
    u, t = x.new_zeros(game.control_size), torch.tensor(0, device=x.device)
    results = [game.dynamics(x, u, t)]
    results += [cost(x, u, t) for cost in game.running_costs]
    results += [cost(x) for cost in game.terminal_costs]
    for constraint in game.constraints:
        results.append(
            constraint.function(x) if constraint.terminal else constraint.function(x, u, t)
        )
    return any(result.requires_grad for result in results)


def attach_gradient(
    game: NonlinearGame,
    solution: NonlinearSolution,
    x0: Tensor | None = None,
    *,
    options: IterationOptions | None = None,
) -> NonlinearSolution:
    """Give a solution the gradient of the equilibrium; `ocngame.solve` does so by itself.

    Args:
        game: The game; gradients flow to whatever its functions close over.
        solution: Its solution.
        x0: The initial states that gradients are to flow to, shape (..., n); none if None.
        options: The settings with which the solution was found.

    Returns:
        The same numbers; controls, states, costs, gains and multipliers carry gradients. A backward
        pass that asks for the gradient of an element that is not solved raises `ConvergenceError`,
        one at which a constraint is about to switch `NotDifferentiableError`.
    """
    options = IterationOptions() if options is None else options
    batch = solution.codes.shape
    start = solution.x0.detach() if x0 is None else x0
    start = start.expand(*batch, game.state_size).reshape(-1, game.state_size)
    solved = solution.solved.reshape(-1)
    index = solved.nonzero().squeeze(-1)
    if not len(index):
        return solution
    plain = replace(game, expansion=None)
    problem = _problem(plain, solution, options)
    y = solution.multipliers
    layout = _Layout(game, None if y is None else y.flat(batch).take(index))
    flat_us, flat_K = _flat(solution.controls, 2), _flat(solution.feedback, 3)
    us, K = flat_us[index].detach(), flat_K[index].detach()
    with torch.enable_grad():
        here = layout.join(us, K, layout.multipliers).detach().requires_grad_()
        there = _advance(problem, start[index], layout, here)
        attached = there.clone()
        attached.register_hook(_adjoint(here, there, _switching(plain, start[index], us, layout)))
        u, gains, found = layout.split(here.detach() + (attached - attached.detach()))
        xs = plain.simulate(u, start[index])
        costs = plain.costs(xs, u)

        def whole(old: Tensor, dims: int, new: Tensor) -> Tensor:
            full = _flat(old, dims).detach().index_put((index,), new.to(old.dtype))
            full.register_hook(_only_solved(solved))
            return full.reshape(old.shape)

        report = solution.constraints
        if report is not None and found is not None:
            kept = report.multipliers
            multipliers = replace(
                kept,
                running=whole(kept.running, 2, found.running),
                terminal=whole(kept.terminal, 1, found.terminal),
            )
            report = replace(report, multipliers=multipliers)
        return replace(
            solution,
            controls=whole(solution.controls, 2, u),
            feedback=whole(solution.feedback, 3, gains),
            states=whole(solution.states, 2, xs),
            costs=whole(solution.costs, 1, costs),
            constraints=report,
        )


class _Layout:
    """How (u, K, y) of b elements are laid out in one vector each."""

    def __init__(self, game: NonlinearGame, multipliers: Multipliers | None):
        """Keep the sizes.

        Args:
            game: The game.
            multipliers: Multipliers of the b elements, or None.
        """
        T, m, n = game.horizon, game.control_size, game.state_size
        self.multipliers = multipliers
        self.shapes = [(T, m), (T, m, n)]
        if multipliers is not None:
            self.shapes += [tuple(multipliers.running.shape[1:])]
            self.shapes += [tuple(multipliers.terminal.shape[1:])]

    def join(self, us: Tensor, K: Tensor, y: Multipliers | None) -> Tensor:
        """Lay out.

        Args:
            us: Controls, shape (b, T, m).
            K: Gains, shape (b, T, m, n).
            y: Multipliers, or None.

        Returns:
            The vectors, shape (b, d).
        """
        parts = [us, K] if y is None else [us, K, y.running, y.terminal]
        return torch.cat([part.flatten(1) for part in parts], dim=-1)

    def split(self, z: Tensor) -> tuple[Tensor, Tensor, Multipliers | None]:
        """Take apart.

        Args:
            z: The vectors, shape (b, d).

        Returns:
            Controls, gains and multipliers.
        """
        sizes = [torch.Size(shape).numel() for shape in self.shapes]
        parts = [
            part.reshape(len(z), *shape)
            for part, shape in zip(z.split(sizes, dim=-1), self.shapes, strict=True)
        ]
        if self.multipliers is None:
            return parts[0], parts[1], None
        y = replace(self.multipliers, running=parts[2], terminal=parts[3])
        return parts[0], parts[1], y


def _problem(
    game: NonlinearGame, solution: NonlinearSolution, options: IterationOptions
) -> Problem:
    information = solution.information
    if information is InformationStructure.COOPERATIVE:
        weights = solution.weights
        game = game.team(None if weights is None else list(weights.unbind()))
        information = InformationStructure.FEEDBACK
    rule = StageRule(slices=tuple(game.control_slices), information=information)
    return Problem(game=game, rule=rule, dynamics_hessian=options.dynamics_hessian)


def _advance(problem: Problem, x0: Tensor, layout: _Layout, z: Tensor) -> Tensor:
    """Give G(z)."""
    us, _, y = layout.split(z)
    xs = problem.game.simulate(us, x0)
    expansion = expand(
        problem.game, xs, us, multipliers=y, dynamics_hessian=problem.dynamics_hessian
    )
    found = run_pass(problem, expansion)
    step = AffinePolicy(feedforward=found.feedforward, feedback=found.feedback)
    new_xs, new_us = follow(problem.game, xs, us, step, torch.ones_like(x0[:, 0]))
    if y is not None:
        running, terminal = constraint_values(problem.game, new_xs, new_us)
        rho = y.penalty
        y = replace(
            y,
            running=(y.running + rho[:, None, None] * running).clamp_min(0),
            terminal=(y.terminal + rho[:, None] * terminal).clamp_min(0),
        )
    return layout.join(new_us, step.feedback, y)


def _switching(game: NonlinearGame, x0: Tensor, us: Tensor, layout: _Layout) -> Tensor:
    """Say where a constraint is neither clearly active nor clearly inactive, shape (b,)."""
    y = layout.multipliers
    if y is None:
        return torch.zeros(len(us), dtype=torch.bool, device=us.device)
    with torch.no_grad():
        running, terminal = constraint_values(game, game.simulate(us, x0), us)
        rho = y.penalty.unsqueeze(-1)
        h = torch.cat([running.flatten(1), terminal.flatten(1)], dim=-1)
        weights = torch.cat([y.running.flatten(1), y.terminal.flatten(1)], dim=-1)
        apart = (weights + rho * h).abs()
        return (apart < STRICT * apart.amax(-1, keepdim=True).clamp_min(1)).any(-1)


def _adjoint(
    here: Tensor, there: Tensor, switching: Tensor
) -> Callable[[Tensor | None], Tensor | None]:
    """Make the hook that solves `w = v + (dG/dz)' w`."""

    def solve(given: Tensor | None) -> Tensor | None:
        if given is None:
            return None
        asked = given.abs().amax(-1) > 0
        if bool((asked & switching).any()):
            where = int((asked & switching).nonzero()[0])
            raise NotDifferentiableError(
                f"solution: expected strictly complementary constraints for a gradient, got one "
                f"that is about to switch in the solved element {where}: move the bound or the "
                "initial state a little"
            )

        def product(w: Tensor) -> Tensor:
            (moved,) = torch.autograd.grad(there, here, w, retain_graph=True)
            return w - moved

        eps = torch.finfo(given.dtype).eps
        w, rest = batched_gmres(product, given, tolerance=100 * eps, most=KRYLOV)
        if not bool((rest <= max(ENOUGH, 1e3 * eps)).all()):
            raise ConvergenceError(
                "solution: the linear system of its gradient was not solved, residual "
                f"{float(rest.max()):.3g}: the equilibrium may be about to vanish or to split"
            )
        return w

    return solve


def _only_solved(solved: Tensor) -> Callable[[Tensor | None], None]:
    def check(given: Tensor | None) -> None:
        if given is None:
            return
        asked = given.flatten(1).abs().amax(-1) > 0
        if bool((asked & ~solved).any()):
            where = int((asked & ~solved).nonzero()[0])
            raise ConvergenceError(
                f"solution: expected a solved element for a gradient, got element {where} of the "
                "flattened batch, whose iteration did not end at a solution"
            )

    return check


def _flat(part: Tensor, dims: int) -> Tensor:
    return part.reshape(part.shape[: part.ndim - dims].numel(), *part.shape[part.ndim - dims :])
