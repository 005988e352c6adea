r"""Constraints by the augmented Lagrangian: rounds of unconstrained games.

Each round solves the game in which every player who carries a constraint adds its augmented
Lagrangian (`ocngame.games.expansion`), then sets `y <- max(0, y + rho h)`. At the end

    violation = max_j max(0, h_j),      complementarity = max_j |y_j h_j|

and the residual is that of the Lagrangians `J^i + y' h` at the multipliers handed back. All players
who share a constraint see the same `y`: a variational (normalised) generalised Nash point. In
feedback play the gains are those of the augmented game at the last penalty: they push a state that
is off the path back towards the constraint, the harder the larger the penalty.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ocngame.games.expansion import Multipliers, constraint_values
from ocngame.solvers.lq.status import Status, code_of
from ocngame.solvers.nonlinear.iterate import Outcome, iterate
from ocngame.solvers.nonlinear.options import IterationOptions
from ocngame.solvers.nonlinear.point import Problem, evaluate

__all__ = ["Constrained", "fresh_multipliers", "iterate_constrained"]

LOOSE = 1e-2


@dataclass(frozen=True, kw_only=True)
class Constrained:
    """Where the rounds ended.

    Attributes:
        outcome: Points, codes and counts of steps over all rounds.
        multipliers: Multipliers and penalties.
        violation: Largest violation, shape (B,).
        complementarity: Largest product of a multiplier and its constraint, shape (B,).
        rounds: Updates of the multipliers, shape (B,).
    """

    outcome: Outcome
    multipliers: Multipliers
    violation: Tensor
    complementarity: Tensor
    rounds: Tensor


def fresh_multipliers(problem: Problem, xs: Tensor, us: Tensor, penalty: float) -> Multipliers:
    """Give multipliers of zero.

    Args:
        problem: What is iterated on.
        xs: States of any trajectories, shape (B, T+1, n).
        us: Their controls, shape (B, T, m).
        penalty: The penalty.

    Returns:
        The multipliers.
    """
    running, terminal = constraint_values(problem.game, xs, us)
    return Multipliers(
        running=torch.zeros_like(running),
        terminal=torch.zeros_like(terminal),
        penalty=us.new_full((len(us),), penalty),
    )


def iterate_constrained(
    problem: Problem,
    xs: Tensor,
    us: Tensor,
    options: IterationOptions,
    multipliers: Multipliers | None = None,
) -> Constrained:
    """Run rounds until residual, violation and complementarity are small.

    Args:
        problem: What is iterated on.
        xs: States of the first trajectories, shape (B, T+1, n).
        us: Their controls, shape (B, T, m).
        options: Tolerances and limits.
        multipliers: Multipliers to start from; zero if None.

    Returns:
        The last points, multipliers and how well they fit.
    """
    settings = options.constraints
    y = multipliers or fresh_multipliers(problem, xs, us, settings.penalty)
    mask = torch.ones(len(us), dtype=torch.bool, device=us.device)
    point = evaluate(problem, xs, us, mask, us.new_zeros(len(us)), y)
    codes = torch.full((len(us),), code_of(Status.INFEASIBLE), device=us.device)
    iterations, rounds = torch.zeros_like(codes), torch.zeros_like(codes)
    violation, product = point.merit.new_full((2, len(us)), torch.inf)
    index = torch.arange(len(us), device=us.device)
    loose = max(options.tolerance, LOOSE)
    for _ in range(settings.max_rounds):
        part = point.take(index)
        found = iterate(
            problem,
            part.xs,
            part.us,
            tolerance=loose,
            max_iterations=options.max_iterations,
            multipliers=y.take(index),
        )
        point, y, excess, slack = _update(problem, point, y, index, found)
        iterations[index] += found.iterations
        rounds[index] += 1
        broken = found.codes == code_of(Status.NON_FINITE)
        met = (excess <= settings.tolerance) & (slack <= settings.tolerance)
        exact = (point.residuals[index].norm(dim=-1) <= options.tolerance) & (found.codes == 0)
        failed = torch.where(found.codes == 0, code_of(Status.INFEASIBLE), found.codes)
        unmet = torch.where(met, code_of(Status.MAX_ITERATIONS), failed)
        codes[index] = torch.where(met & exact, 0, unmet)
        slower = (excess > settings.shrink * violation[index]) & (excess > settings.tolerance)
        penalty = y.penalty.clone()
        penalty[index] = torch.where(slower, settings.growth * penalty[index], penalty[index])
        y = replace(y, penalty=torch.where(codes == 0, y.penalty, penalty))
        violation[index], product[index] = excess, slack
        index = index[~(met & exact) & ~broken]
        if not len(index):
            break
        loose = max(options.tolerance, loose / 100)
    return Constrained(
        outcome=Outcome(point=point, codes=codes, iterations=iterations),
        multipliers=y,
        violation=violation,
        complementarity=product,
        rounds=rounds,
    )


def _update(problem: Problem, point, y: Multipliers, index: Tensor, found: Outcome):
    """Take in a round's points and update their multipliers; residuals are the Lagrangians'."""
    xs, us = found.point.xs, found.point.us
    running, terminal = constraint_values(problem.game, xs, us)
    rho = y.penalty[index]
    new = Multipliers(
        running=(y.running[index] + rho[:, None, None] * running).clamp_min(0),
        terminal=(y.terminal[index] + rho[:, None] * terminal).clamp_min(0),
        penalty=rho,
    )
    values = torch.cat([running.flatten(1), terminal], dim=-1)
    weights = torch.cat([new.running.flatten(1), new.terminal], dim=-1)
    both = Multipliers(
        running=y.running.index_put((index,), new.running),
        terminal=y.terminal.index_put((index,), new.terminal),
        penalty=y.penalty,
    )
    return (
        point.put(index, found.point),
        both,
        values.clamp_min(0).amax(-1),
        (weights * values).abs().amax(-1),
    )
