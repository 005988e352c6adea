r"""A recursion run until it stands still, with jumps ahead.

`V <- F(V)` hands every player's value one stage back. Alone it takes as many stages as the closed
loop needs to forget its state. A jump goes all the way with the policy K of the stage,

    G(V) = sum_s (L^s)' C L^s,      L = A + B K,      C = F with the value zero and K played

summed by doubling (Smith, 1968): `C <- C + L' C L, L <- L L`. Played over and over this is policy
iteration, Newton's method (Kleinman, 1968) for one decision maker and linear for several (Li and
Gajic, 1995), whose last jumps are mixed by Anderson's method (Walker and Ni, 2011). A jump counts
only if the residual falls by it; where it does not, stages go on alone for a while. So a jump never
ends anywhere but at a solution of `V = F(V)`, and nothing is iterated on but F and G.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Recursion", "Settled", "forever", "settle"]

FALL = 0.9
WAIT = 8
CHECK = 8
DEPTH = 5
RIDGE = 1e-13
NEAR = 0.5
PATIENCE = 500
DOUBLINGS = 60


@dataclass(frozen=True, kw_only=True)
class Recursion:
    """What is run.

    Attributes:
        step: Gives F(V) and the stage's evidence from V, shape (..., N, n, n).
        jump: Gives G(V) from the evidence, not finite where playing on costs without bound.
        sound: Says from the evidence whether the stage means anything, shape (...).
    """

    step: Callable[[Tensor], tuple[Tensor, Any]]
    jump: Callable[[Any], Tensor]
    sound: Callable[[Any], Tensor]


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Where the recursion ended, batch (...) in front.

    Attributes:
        value: The last value of each element, shape (..., N, n, n).
        residual: `max |F(V) - V| / max |F(V)|`, shape (...).
        count: Number of stages taken, shape (...).
        sound: Whether every stage that was asked meant something, shape (...).
    """

    value: Tensor
    residual: Tensor
    count: Tensor
    sound: Tensor


@torch.no_grad()
def settle(
    make: Callable[[Tensor | None], Recursion],
    start: Tensor,
    *,
    tolerance: float,
    polish: float,
    most: int,
) -> Settled:
    """Run a recursion until every element stands still; each stops by itself.

    Args:
        make: Gives the recursion of some elements, an index of shape (e,), or of all for None.
        start: First values, shape (N, n, n), or (E, N, n, n) of E elements.
        tolerance: Residual at which an element stands still.
        polish: Residual down to which it goes on as long as each stage halves it.
        most: Most stages.

    Returns:
        Where each element ended. One that met numbers that are not finite, or a stage that means
        nothing, or 500 stages without a smaller residual, stopped there.
    """
    recursion, state = make(None), _fresh(start)
    index = torch.arange(len(start), device=start.device) if start.ndim > 3 else None
    ended = {name: state[name].clone() for name in _ENDS}
    for stage in range(most):
        state = _stage(recursion, state, stage, tolerance, polish)
        running = state["running"]
        if not bool(running.any()):
            break
        if index is not None and 2 * int(running.sum()) <= len(index):
            for name in _ENDS:
                ended[name][index] = state[name]
            index, state = index[running], {name: part[running] for name, part in state.items()}
            recursion = make(index)
    if index is None:
        ended = state
    else:
        for name in _ENDS:
            ended[name][index] = state[name]
    return Settled(**{name: ended[name] for name in _ENDS})


_ENDS = ("value", "residual", "count", "sound")


def _fresh(value: Tensor) -> dict[str, Tensor]:
    """Give the state of elements before the first stage."""
    shape = value.shape[:-3]
    infinite = value.new_full(shape, torch.inf)
    none = torch.zeros(shape, dtype=torch.int64, device=value.device)
    history = value.new_zeros(*shape, DEPTH, value.shape[-3:].numel())
    return {
        "value": value,
        "saved": value,
        "residual": infinite,
        "best": infinite,
        "record": infinite,
        "count": none,
        "since": none,
        "wait": none,
        "pause": none + WAIT,
        "running": none == 0,
        "sound": none == 0,
        "trial": none > 0,
        "moves": history,
        "ends": history,
        "used": torch.zeros(*shape, DEPTH, dtype=torch.bool, device=value.device),
    }


def _stage(
    recursion: Recursion, state: dict[str, Tensor], stage: int, tolerance: float, polish: float
) -> dict[str, Tensor]:
    """Take a stage, judge the last jump by it, and jump where it is time to."""
    s = dict(state)
    new, evidence = recursion.step(s["value"])
    gap, size = (part.abs().amax((-3, -2, -1)) for part in (new - s["value"], new))
    measured = torch.where(gap == 0, 0, gap / size)
    s["count"] = s["count"] + s["running"]
    failed = s["running"] & s["trial"] & ~(measured < FALL * s["best"])
    s["value"], new = _where(failed, s["saved"], s["value"]), _where(failed, s["saved"], new)
    measured = torch.where(failed, s["best"], measured)
    if stage % CHECK == 0:
        s["sound"] = s["sound"] & (recursion.sound(evidence) | ~s["running"] | failed)
        s["running"] = s["running"] & s["sound"]
    still = (measured <= polish) | ((measured <= tolerance) & (measured > 0.5 * s["best"]))
    s["residual"] = torch.where(s["running"], measured, s["residual"])
    s["best"] = s["residual"]
    lower = measured < s["record"]
    s["record"] = torch.where(lower, measured, s["record"])
    s["since"] = torch.where(lower, 0, s["since"] + 1)
    going = torch.isfinite(measured) & ~(still & ~failed) & (s["since"] < PATIENCE)
    s["running"] = s["running"] & going
    s["pause"] = torch.where(failed, (2 * s["pause"]).clamp_max(PATIENCE), s["pause"])
    s["wait"] = torch.where(failed, s["pause"], (s["wait"] - 1).clamp_min(0))
    s["used"] = s["used"] & ~failed.unsqueeze(-1)
    s["trial"] = s["running"] & ~failed & (s["wait"] == 0) & (measured < NEAR)
    if bool(s["trial"].any()):
        far = recursion.jump(evidence)
        bounded = torch.isfinite(far).flatten(-3).all(-1)
        s["wait"] = torch.where(bounded, s["wait"], s["pause"])
        s["trial"] = s["trial"] & bounded
        ahead = _mixed(s, far)
        s["saved"] = new
        new = _where(s["trial"], ahead, new)
    s["value"] = _where(s["running"], new, s["value"])
    return s


def forever(step: Tensor, loop: Tensor) -> Tensor:
    """Give `sum_s (L^s)' C L^s` by doubling.

    Args:
        step: C, shape (..., N, n, n).
        loop: L, shape (..., n, n).

    Returns:
        The sums, shape (..., N, n, n); not finite where the loop is not stable.
    """
    total, power = step, loop.unsqueeze(-3)
    eps = torch.finfo(step.dtype).eps
    for _ in range(DOUBLINGS):
        more = power.mT @ total @ power
        total = total + more
        power = power @ power
        if not bool((power.abs().amax() > eps) & torch.isfinite(more).any()):
            break
    grown = power.abs().amax((-3, -2, -1)) > 1
    return total.masked_fill(grown[..., None, None, None], torch.nan)


def _mixed(s: dict[str, Tensor], far: Tensor) -> Tensor:
    """Take the jumps into the history, and give the mixtures that leave the least move."""
    jumps = s["trial"].unsqueeze(-1)
    end = torch.where(jumps, far.flatten(-3), 0)
    move = torch.where(jumps, end - s["value"].flatten(-3), 0)
    used = s["used"].unsqueeze(-1)
    columns = torch.where(used, move.unsqueeze(-2) - s["moves"], 0)
    size = columns.norm(dim=-1, keepdim=True)
    size = torch.where(size > 0, size, 1)
    columns = columns / size
    eye = torch.eye(DEPTH, dtype=far.dtype, device=far.device)
    ridge = RIDGE if far.dtype == torch.float64 else 1e-6
    weights = torch.linalg.solve(columns @ columns.mT + ridge * eye, columns @ move.unsqueeze(-1))
    shifts = torch.where(used, end.unsqueeze(-2) - s["ends"], 0) / size
    mixed = end - (shifts.mT @ weights).squeeze(-1)
    for name, part in (("moves", move), ("ends", end)):
        longer = torch.cat([s[name][..., 1:, :], part.unsqueeze(-2)], dim=-2)
        s[name] = torch.where(jumps.unsqueeze(-1), longer, s[name])
    longer = torch.cat([s["used"][..., 1:], torch.ones_like(s["used"][..., :1])], dim=-1)
    s["used"] = torch.where(jumps, longer, s["used"])
    return mixed.reshape(far.shape)


def _where(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(mask[..., None, None, None], yes, no)
