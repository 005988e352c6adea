"""Choosing a peer's learning rate, for quality and for speed, from runs over its grid."""

import math
from collections.abc import Callable, Sequence

from benchmarks.supervised.store import Run

TUNING_SEED = 100
STEP = math.sqrt(10.0)
MOST_WIDER = 3  # points that a grid is widened by at either end


def final_loss(run: Run) -> float:
    """Give the last measured training loss, infinite for a run that diverged."""
    whole = run.validation is not None or run.test is not None
    last = run.curve[-1][1] if run.curve and whole else math.inf
    return last if math.isfinite(last) else math.inf


def by_quality(run: Run) -> tuple[float, float]:
    """Rank by validation accuracy, then validation loss."""
    if run.validation is None or not math.isfinite(run.validation[1]):
        return 1.0, math.inf
    accuracy, loss = run.validation
    return (0.0 if math.isnan(accuracy) else -accuracy), loss


def by_speed(run: Run) -> tuple[float, float]:
    """Rank by steps to the target, then final training loss."""
    return (math.inf if run.reached is None else run.reached), final_loss(run)


def best(runs: Sequence[Run], rank: Callable[[Run], tuple[float, float]]) -> float:
    """Give the learning rate of the best run; of equals the one in the middle."""
    least = min(rank(run) for run in runs)
    equal = sorted(run.lr for run in runs if rank(run) == least)
    return equal[len(equal) // 2]


def wider(runs: Sequence[Run], grid: Sequence[float]) -> float | None:
    """Give the learning rate to add to the grid, if the best by either rank is at an end."""
    rates = sorted(run.lr for run in runs)
    if not any(math.isfinite(final_loss(run)) for run in runs):
        chosen = {rates[0]}  # all diverged: shorter steps
    else:
        chosen = {best(runs, by_quality), best(runs, by_speed)}
    if rates[0] in chosen and rates[0] > min(grid) / STEP**MOST_WIDER * 1.01:
        return _rounded(rates[0] / STEP)
    if rates[-1] in chosen and rates[-1] < max(grid) * STEP**MOST_WIDER / 1.01:
        return _rounded(rates[-1] * STEP)
    return None


def _rounded(rate: float) -> float:
    """Give 1 or 3 times a power of ten, whichever is nearer."""
    power = 10.0 ** math.floor(math.log10(rate) + 1e-9)
    lead = min((1.0, 3.0, 10.0), key=lambda lead: abs(math.log(rate / (lead * power))))
    return float(f"{lead * power:.6g}")
