r"""The iteration: step, line search, and a way out where the Hessians mislead.

Each element has its own step length and its own mode. Where no length of a full step is good (see
`ocngame.solvers.nonlinear.search`) or a stage has no minimum, the element falls back to safe steps
(`ocngame.solvers.nonlinear.point`) and tries full ones again after one, two, then every four.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ocngame.games.expansion import Multipliers
from ocngame.solvers.lq.status import Status, code_of
from ocngame.solvers.nonlinear.mixing import History, Secants
from ocngame.solvers.nonlinear.point import Point, Problem, evaluate
from ocngame.solvers.nonlinear.search import pick, search, trial

__all__ = ["Outcome", "iterate"]

MEMORY = 4
PATIENCE = 12
SLOW = 0.1
ROUNDING = 100


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Where an iteration ended.

    Attributes:
        point: The points.
        codes: Status codes, shape (B,).
        iterations: Steps taken, shape (B,).
        secants: Secants for a later iteration, or None where steps are Newton's.
    """

    point: Point
    codes: Tensor
    iterations: Tensor
    secants: Secants | None = None


def iterate(
    problem: Problem,
    xs: Tensor,
    us: Tensor,
    *,
    tolerance: float,
    max_iterations: int,
    multipliers: Multipliers | None = None,
    secants: Secants | None = None,
) -> Outcome:
    """Iterate every element until its residual is small or it has to be given up.

    Args:
        problem: What is iterated on.
        xs: States of the first trajectories, shape (B, T+1, n).
        us: Their controls, shape (B, T, m).
        tolerance: Largest residual that ends an element's iteration.
        max_iterations: Most steps.
        multipliers: Multipliers of the constraints, or None.
        secants: Secants of an earlier iteration, or None.

    Returns:
        The last points, with a status and a count for each.
    """
    point = _full_if_regular(problem, xs, us, us.new_zeros(len(us)), multipliers)
    codes = torch.zeros(len(us), dtype=torch.int64, device=us.device)
    codes = codes.masked_fill(torch.isinf(point.merit), code_of(Status.NON_FINITE))
    iterations, held, stalls, falls = (torch.zeros_like(codes) for _ in range(4))
    recent = point.merit.unsqueeze(-1).repeat(1, MEMORY)
    history = History.begin(Secants.none(xs, us) if secants is None else secants)
    slow = torch.ones_like(point.full)
    for count in range(max_iterations + 1):
        running = ~(point.full & (point.merit <= tolerance)) & (codes == 0)
        index = running.nonzero().squeeze(-1)
        if not len(index):
            break
        if count == max_iterations:
            codes[index] = code_of(Status.MAX_ITERATIONS)
            break
        here, local = point.take(index), pick(multipliers, index)
        best, good = _empty(here), torch.zeros_like(here.full)
        if problem.mixes:
            history, mixable = _remember(history, index, here, slow[index])
            best, good = _mix(problem, history, index, here, mixable, local)
        mixed = good
        best, good = _continue(problem, here, best, good, recent[index].amax(-1), local)
        spent = here.full & ~good & _below_rounding(here)
        fallen = (here.full & ~good & ~spent).nonzero().squeeze(-1)
        if len(fallen):
            mask = torch.zeros_like(fallen, dtype=torch.bool)
            part = here.take(fallen)
            safe = evaluate(problem, part.xs, part.us, mask, part.prox, pick(local, fallen))
            again, fine = search(problem, safe, safe.merit, pick(local, fallen))
            best, good = best.put(fallen, again), good.index_put((fallen,), fine)
            falls[index[fallen]] += 1
            held[index[fallen]] = 2 ** falls[index[fallen]].clamp_max(2)
        lost = torch.isinf(best.merit) | spent
        stalls[index] = torch.where(good, (stalls[index] - 1).clamp_min(0), stalls[index] + 1)
        codes[index[lost | (stalls[index] > PATIENCE)]] = code_of(Status.STALLED)
        prox = torch.where(good, best.prox / 4, (10 * best.prox).clamp_min(1e-3))
        prox = torch.where(best.full | (prox < 1e-6), 0, prox)
        best = replace(best, prox=prox)
        keep = lost.nonzero().squeeze(-1)
        best = best.put(keep, here.take(keep))
        iterations[index] += 1
        slow[index] = mixed | (here.full & best.full & (best.merit > SLOW * here.merit))
        recent[index] = torch.cat([recent[index][:, 1:], best.merit.unsqueeze(-1)], dim=-1)
        held[index] -= 1
        changed = here.full & ~best.full
        switch = (~best.full & (held[index] <= 0) & ~lost).nonzero().squeeze(-1)
        if len(switch):
            part = best.take(switch)
            tried = _full_if_regular(
                problem, part.xs, part.us, part.prox, pick(local, switch), part
            )
            best = best.put(switch, tried)
            falls[index[switch]] = torch.where(
                tried.full, falls[index[switch]], falls[index[switch]] + 1
            )
            held[index[switch]] = 2 ** falls[index[switch]].clamp_max(2)
            changed[switch] = tried.full
        recent[index[changed]] = best.merit[changed].unsqueeze(-1)
        history = history.forgotten(_scatter(changed, index, len(us)))
        point = point.put(index, best)
    return Outcome(
        point=point,
        codes=codes,
        iterations=iterations,
        secants=history.secants if problem.mixes else None,
    )


def _full_if_regular(
    problem: Problem,
    xs: Tensor,
    us: Tensor,
    prox: Tensor,
    multipliers: Multipliers | None,
    otherwise: Point | None = None,
) -> Point:
    """Evaluate as full points, and as safe ones where a stage has no minimum."""
    point = evaluate(problem, xs, us, torch.ones_like(prox, dtype=torch.bool), prox, multipliers)
    index = (~point.regular).nonzero().squeeze(-1)
    if not len(index):
        return point
    if otherwise is not None:
        return point.put(index, otherwise.take(index))
    mask = torch.zeros_like(index, dtype=torch.bool)
    local = pick(multipliers, index)
    return point.put(index, evaluate(problem, xs[index], us[index], mask, prox[index], local))


def _remember(history: History, index: Tensor, here: Point, slow: Tensor) -> tuple[History, Tensor]:
    """Add the full points' targets to the history; say where there is something to mix."""
    full = here.full.nonzero().squeeze(-1)
    part = here.take(full)
    xs, us = part.target
    sound = torch.isfinite(xs).flatten(1).all(-1)
    full, part, xs, us = full[sound], part.take(sound.nonzero().squeeze(-1)), xs[sound], us[sound]
    history = history.extended(index[full], part.k, xs, us)
    known = history.secants.used[index].any(-1)
    return history, _scatter(torch.ones_like(full) > 0, full, len(index)) & known & slow


def _mix(
    problem: Problem,
    history: History,
    index: Tensor,
    here: Point,
    mixable: Tensor,
    multipliers: Multipliers | None,
) -> tuple[Point, Tensor]:
    """Propose mixed points; good are those whose residual falls."""
    best, good = _empty(here), torch.zeros_like(here.full)
    chosen = mixable.nonzero().squeeze(-1)
    if not len(chosen):
        return best, good
    part = here.take(chosen)
    xs, us = history.mixed(index[chosen])
    xs = torch.cat([part.xs[:, :1], xs[:, 1:]], dim=1)
    found = trial(problem, part, xs, us, 0.0, pick(multipliers, chosen))
    fine = found.merit <= 0.9 * part.merit
    return best.put(chosen, found), good.index_put((chosen,), fine)


def _continue(
    problem: Problem,
    here: Point,
    best: Point,
    good: Tensor,
    reference: Tensor,
    multipliers: Multipliers | None,
) -> tuple[Point, Tensor]:
    """Search along the step where nothing good has been found yet."""
    index = (~good).nonzero().squeeze(-1)
    if not len(index):
        return best, good
    found, fine = search(problem, here.take(index), reference[index], pick(multipliers, index))
    return best.put(index, found), good.index_put((index,), fine)


def _empty(point: Point) -> Point:
    return replace(point, merit=torch.full_like(point.merit, torch.inf))


def _below_rounding(point: Point) -> Tensor:
    """Say whether steps are too small to change the controls."""
    size = 1 + point.us.abs().flatten(1).amax(-1)
    return point.k.abs().flatten(1).amax(-1) <= ROUNDING * torch.finfo(size.dtype).eps * size


def _scatter(mask: Tensor, index: Tensor, size: int) -> Tensor:
    return torch.zeros(size, dtype=torch.bool, device=mask.device).index_put((index,), mask)
