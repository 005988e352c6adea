"""The report's section on the integration time, from the file of its runs alone."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.ode.horizon import COSTS, FIXED, RATES, STEP, STEPS, TimeRun, spread

_RULES = ("fixed", "first_order", "second_order")
_TITLES = {
    "fixed": "fixed",
    "first_order": "first order (Adam)",
    "second_order": "second order",
}
_COLOURS = {"fixed": "#888888", "first_order": "#ee7733", "second_order": "#0077bb"}

_RATES = ", ".join(f"{rate:g}" for rate in RATES)

HOW = f"""\
Digits, steps of {STEP:g} of the fourth-order rule (four evaluations each), {STEPS} steps of OCNOpt
with the settings above. The time is fixed, or starts at 1 and is moved after the weights: by the
second-order policy at its defaults, or by Adam's step, whose rate of {_RATES} has the least loss
and cost on a seed of its own at the cost {COSTS[1]:g}.
An evaluation of a pass costs what the table says in units of the loss; one step is the least. "in
training" counts all evaluations of the run, those of the second-order policy's own passes
included. Means, least and greatest of the seeds; the accuracy in points above that of the fixed
time 1 on the same seed."""

SAVED = """\
- At the cost {cost:g} the second-order policy ends with {passes:.0f} % fewer evaluations of a pass
  than the fixed time 1, at an accuracy that differs by {points:+.1f} points in the mean, and takes
  {training:+.0f} % evaluations in training."""

FOUND = """\
- A test sample is 0.28 points. In training the policy saves less by what it takes itself: a pass of
  its own at every second step.
- The first-order rule arrives at the same times, and as it needs no passes of its own it needs
  fewer evaluations in training; but its rate is searched for. The policy has none.
- On this task a fixed short time does as well or better: the field scales with what time it has.
  What a trained time saves is the search for it. At the smallest cost the times of single seeds
  wander, as the noise of batches is then as large as the slope.
- `train ode` therefore keeps the time fixed unless it is asked."""


def horizon_lines(runs: Sequence[TimeRun]) -> list[str]:
    """Write the section's lines, none if there are no runs."""
    if not any(_of(runs, "fixed", 1.0, 0.0)):
        return []
    found = ["## The integration time", "", HOW, "", "```text"]
    found += ["python -m benchmarks.ode horizon", "python -m benchmarks.ode report", "```", ""]
    found += [*_table(runs), "", "![Evaluations against accuracy](ode_horizon.png)", ""]
    return [*found, *_found(runs), ""]


def _found(runs: Sequence[TimeRun]) -> list[str]:
    """Say what the runs at the greater costs save, nothing if they are not there."""
    whole = _of(runs, "fixed", 1.0, 0.0)

    def over(counts: Sequence[float], of: Sequence[float]) -> float:
        return 100 * (statistics.mean(counts) / statistics.mean(of) - 1)

    lines: list[str] = []
    for cost in COSTS[1:]:
        own = _of(runs, "second_order", 1.0, cost)
        if own:
            text = SAVED.format(
                cost=cost,
                passes=-over([r.evaluations for r in own], [r.evaluations for r in whole]),
                training=over([r.total for r in own], [r.total for r in whole]),
                points=statistics.mean(_gains(own, whole)),
            )
            lines += text.split("\n")
    return [*lines, *FOUND.split("\n")] if lines else []


def _gains(own: Sequence[TimeRun], whole: Sequence[TimeRun]) -> list[float]:
    """Give the points of accuracy above the fixed time 1 on the same seed."""
    other = {run.cell.seed: run.test_accuracy for run in whole}
    return [100 * (run.test_accuracy - other[run.cell.seed]) for run in own]


def _of(runs: Sequence[TimeRun], rule: str, time: float, cost: float) -> list[TimeRun]:
    wanted = rule, time, cost
    rates = {run.cell.lr for run in runs if run.cell.seed == 0}
    found = [r for r in runs if (r.cell.rule, r.cell.time, r.cell.cost) == wanted]
    return [r for r in found if r.cell.lr in rates and r.cell.steps == STEPS and r.cell.seed < 100]


def _groups(runs: Sequence[TimeRun]) -> list[tuple[str, str, list[TimeRun]]]:
    groups = [("fixed", f"time {t:g}", _of(runs, "fixed", t, 0.0)) for t in FIXED]
    for rule in _RULES[1:]:
        groups += [(rule, f"cost {c:g}", _of(runs, rule, 1.0, c)) for c in COSTS]
    return [group for group in groups if group[2]]


def _table(runs: Sequence[TimeRun]) -> list[str]:
    head = ["time", "", "time at the end", "evaluations of a pass", "in training", "/ time 1"]
    head += ["training loss", "test accuracy", "points above time 1", "test loss", "CPU s"]
    made = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    first = _of(runs, "fixed", 1.0, 0.0)
    whole = statistics.mean(run.total for run in first)
    for rule, name, own in _groups(runs):
        total = [float(run.total) for run in own]
        row = [_TITLES[rule], name, spread([run.curve[-1][1] for run in own], ".2f")]
        row += [spread([float(run.evaluations) for run in own], ".1f"), spread(total, ".0f")]
        row += [f"{statistics.mean(total) / whole:.2f}"]
        row += [spread([run.train_loss for run in own], ".4f")]
        row += [spread([100 * run.test_accuracy for run in own], ".1f") + " %"]
        row += [spread(_gains(own, first), "+.1f")]
        row += [spread([run.test_loss for run in own], ".3f")]
        row += [f"{statistics.mean(run.seconds for run in own):.1f}"]
        made.append("| " + " | ".join(row) + " |")
    return made


def draw_horizons(runs: Sequence[TimeRun], path: Path) -> None:
    """Draw accuracy by evaluations of a pass and of the training, and the time by steps."""
    figure = Figure(figsize=(12, 3.8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    passes, training, times = figure.subplots(1, 3)
    first = _of(runs, "fixed", 1.0, 0.0)
    for rule in _RULES:
        groups = [own for name, _, own in _groups(runs) if name == rule]
        style = {"color": _COLOURS[rule], "marker": "o", "markersize": 4, "capsize": 2}
        for axes, counts in (
            (passes, [[float(r.evaluations) for r in own] for own in groups]),
            (training, [[float(r.total) for r in own] for own in groups]),
        ):
            gains = [_gains(own, first) for own in groups]
            axes.errorbar(
                [statistics.mean(c) for c in counts],
                [statistics.mean(gain) for gain in gains],
                xerr=_bars(counts),
                yerr=_bars(gains),
                label=_TITLES[rule],
                **style,
            )
        if rule == "fixed":
            continue
        for cost, dash in zip(COSTS, (":", "-", "--"), strict=True):
            for number, run in enumerate(_of(runs, rule, 1.0, cost)):
                label = f"{_TITLES[rule]}, cost {cost:g}" if number == 0 else None
                steps = [0, *(p[0] for p in run.curve)]
                values = [run.cell.time, *(p[1] for p in run.curve)]
                times.plot(
                    steps, values, color=_COLOURS[rule], linestyle=dash, linewidth=1, label=label
                )
    for axes, name in ((passes, "evaluations of a pass"), (training, "evaluations in training")):
        axes.set_xlabel(name)
        axes.set_ylabel("points of accuracy above time 1")
        axes.set_xlim(left=0)
    times.set(xlabel="steps", ylabel="integration time", ylim=(0, None))
    passes.legend(frameon=False)
    times.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for axes in (passes, training, times):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def _bars(values: Sequence[Sequence[float]]) -> list[list[float]]:
    """Give the distances from means to the least and the greatest."""
    means = [statistics.mean(v) for v in values]
    return [
        [m - min(v) for m, v in zip(means, values, strict=True)],
        [max(v) - m for m, v in zip(means, values, strict=True)],
    ]
