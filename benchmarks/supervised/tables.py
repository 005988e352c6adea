"""Tables of the comparison, as lines of Markdown."""

import math
import statistics
from collections.abc import Sequence

from benchmarks.supervised.analysis import Best, Figure, Results, ratio
from benchmarks.supervised.peers import PEERS
from benchmarks.supervised.tasks import TASKS

OURS = "ocnopt"
Row = Sequence[str]


def title_of(optimizer: str) -> str:
    """Give the name of a contender in the report."""
    if optimizer in PEERS:
        return PEERS[optimizer].title
    _, _, changes = optimizer.partition(":")
    return f"OCNOpt, {changes.replace('_', ' ').replace(',', ', ')}" if changes else "OCNOpt"


def table(head: Row, rows: Sequence[Row]) -> list[str]:
    """Write a table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def number(value: float, form: str = ".2f") -> str:
    """Write a number that may be missing."""
    return "–" if math.isnan(value) else "never" if math.isinf(value) else f"{value:{form}}"


def cell(figure: Figure | None, form: str = ".0f") -> str:
    """Write a figure that may be missing."""
    return "–" if figure is None else figure.shown(form)


def ratios(results: Results, task: str) -> tuple[float, float, float]:
    """Give OCNOpt over the best peer: steps, time against it, time against the fastest in time."""
    ours, peer = results.steps(task, OURS), results.best_steps(task)
    if ours is None or peer is None:
        return math.nan, math.nan, math.nan
    steps = ratio(ours.mean, peer.figure.mean)
    step_time = results.time_ratio(task, OURS) / results.time_ratio(task, peer.optimizer)
    fastest = results.best_seconds(task)
    least = math.nan if fastest is None else results.seconds(task, fastest)
    return steps, steps * step_time, ratio(results.seconds(task, OURS), least)


def median_of(values: Sequence[float]) -> float:
    """Give the median of what is known; never counts as infinite."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else math.nan


def accuracy_gap(results: Results, task: str) -> float:
    """Give OCNOpt's test accuracy minus the best peer's, in points; NaN if not known."""
    ours, peer = results.quality(task, OURS, 0), results.best_quality(task, 0)
    if ours is None or peer is None:
        return math.nan
    return 100 * (ours.mean - peer.figure.mean)


def overview(results: Results) -> list[str]:
    """Compare OCNOpt with the best peer of every task."""
    head = ["task", "target", "OCNOpt", "best peer", "its steps", "steps"]
    head += ["seconds", "seconds, fastest peer"]
    rows, found = [], []
    for task in TASKS.values():
        ours, peer = results.steps(task.name, OURS), results.best_steps(task.name)
        three = ratios(results, task.name)
        found.append(three)
        fastest = results.best_seconds(task.name)
        against = f"{number(three[2])} ({title_of(fastest)})" if fastest is not None else "–"
        rows.append(
            [
                task.title,
                f"{task.target:g}",
                "refused" if results.refusal(task.name, OURS) else cell(ours),
                _named(peer),
                cell(peer.figure if peer is not None else None),
                number(three[0]),
                number(three[1]),
                against,
            ]
        )
    medians = [number(median_of([f[k] for f in found])) for k in range(3)]
    rows.append(["**median**", "", "", "", "", *(f"**{m}**" for m in medians)])
    return table(head, rows)


def steps_table(results: Results, at_quality: bool = False) -> list[str]:
    """Give everybody's steps to every target."""
    tasks = list(TASKS.values())
    steps = results.steps_at_quality if at_quality else results.steps
    rows = [
        [title_of(name), *(cell(steps(task.name, name)) for task in tasks)]
        for name in (*PEERS, OURS)
    ]
    return table(["", *(task.title for task in tasks)], rows)


def quality_table(results: Results, column: int) -> list[str]:
    """Give everybody's test accuracy (column 0, in per cent) or mean test loss (1)."""
    tasks = [t for t in TASKS.values() if column == 1 or not t.autoencoder]
    rows = []
    for name in (*PEERS, OURS):
        cells = []
        for task in tasks:
            figure = results.quality(task.name, name, column)
            if figure is None or figure.missed:
                cells.append("–" if figure is None else f"diverged ({figure.missed})")
            elif column == 0:
                cells.append(f"{100 * figure.mean:.2f} ± {100 * figure.deviation:.2f}")
            else:
                cells.append(figure.shown(".3f"))
        rows.append([title_of(name), *cells])
    if column == 0:
        gaps = [accuracy_gap(results, task.name) for task in tasks]
        rows.append(["**OCNOpt – best peer**", *(f"**{number(gap, '+.2f')}**" for gap in gaps)])
    return table(["", *(task.title for task in tasks)], rows)


def cost_table(results: Results) -> list[str]:
    """Give everybody's time per step over Adam's, and the bytes of state per parameter."""
    tasks = list(TASKS.values())
    rows = []
    for name in (*PEERS, OURS):
        found = [results.time_ratio(task.name, name) for task in tasks]
        cells = [number(median_of(found)), *(number(r) for r in found)]
        rows.append([title_of(name), number(results.state_per_parameter(name), ".1f"), *cells])
    return table(["", "bytes a parameter", "median", *(task.title for task in tasks)], rows)


def rates_table(results: Results) -> list[str]:
    """Give the learning rates that were chosen: for quality / for speed."""
    tasks = list(TASKS.values())

    def shown(task: str, name: str) -> str:
        rates = results.rates(task, name)
        return "–" if rates is None else f"{rates[0]:g} / {rates[1]:g}"

    rows = [[title_of(name), *(shown(task.name, name) for task in tasks)] for name in PEERS]
    return table(["", *(task.title for task in tasks)], rows)


def _named(peer: Best | None) -> str:
    return "–" if peer is None else title_of(peer.optimizer)
