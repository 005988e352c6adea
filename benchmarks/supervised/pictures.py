"""Pictures of the report."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.supervised.analysis import Results
from benchmarks.supervised.experiments import SENSITIVITY
from benchmarks.supervised.peers import PEERS
from benchmarks.supervised.store import Run
from benchmarks.supervised.tables import OURS, title_of
from benchmarks.supervised.tasks import TASKS

COLOURS = {
    OURS: "#000000",
    "sgd": "#228833",
    "rmsprop": "#bbbbbb",
    "adam": "#ee6677",
    "adamw": "#cc3311",
    "muon": "#ccbb44",
    "soap": "#4477aa",
    "shampoo": "#66ccee",
    "psgd": "#aa3377",
    "schedule-free": "#ee7733",
    "kfac": "#009988",
}
CURVES = ("digits-tanh", "digits-autoencoder", "mnist1d-cnn", "mnist5k-mlp")
DRAWN = ("sgd", "adam", "muon", "soap", "kfac")


def draw_ratios(results: Results, path: Path) -> None:
    """Mark every contender's steps to the target over the best peer's."""
    figure, (axes,) = _figure(1, (8.0, 4.6))
    for row, task in enumerate(TASKS):
        best = results.best_steps(task)
        if best is None or math.isinf(best.figure.mean):
            continue
        for name in (*PEERS, OURS):
            steps = results.steps(task, name)
            if steps is None or math.isinf(steps.mean):
                continue
            axes.scatter(
                steps.mean / best.figure.mean,
                row,
                color=COLOURS[name],
                marker="D" if name == OURS else "o",
                s=60 if name == OURS else 28,
                zorder=3 if name == OURS else 2,
            )
    for name in (*PEERS, OURS):
        axes.scatter(
            [], [], color=COLOURS[name], marker="D" if name == OURS else "o", label=title_of(name)
        )
    axes.axvline(1.0, color="#555555", lw=0.8)
    axes.axvline(0.75, color="#555555", lw=0.8, ls=":")
    axes.set_yticks(range(len(TASKS)), [task.title for task in TASKS.values()])
    axes.invert_yaxis()
    axes.set_xscale("log")
    ticks = (0.5, 0.75, 1, 2, 4, 8)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("steps to the target over the best peer's")
    figure.legend(frameon=False, loc="outside right center", fontsize=8)
    figure.savefig(path)


def draw_curves(results: Results, path: Path) -> None:
    """Draw the training loss by steps, each peer at its learning rate for speed."""
    figure, panels = _figure(len(CURVES), (11.0, 3.4))
    for axes, task in zip(panels, CURVES, strict=True):
        shortest = 0
        for name in (*DRAWN, OURS):
            rates = results.rates(task, name)
            runs = results.final(task, name, rates[1]) if rates is not None else []
            steps, losses = mean_curve(runs)
            width = 2.2 if name == OURS else 1.3
            axes.plot(steps, losses, color=COLOURS[name], lw=width, label=title_of(name))
            known = results.steps(task, name)
            if known is not None and math.isfinite(known.mean):
                shortest = max(shortest, int(known.mean))
        axes.axhline(TASKS[task].target, color="#555555", lw=0.8, ls=":")
        axes.set(title=TASKS[task].title, xlabel="steps")
        if shortest:
            axes.set_yscale("log")
        axes.set_xlim(0, max(1.2 * shortest, 1))
        if shortest:
            axes.set_ylim(bottom=0.3 * TASKS[task].target)
        axes.title.set_fontsize(9)
    panels[0].set_ylabel("training loss")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside right center", fontsize=8)
    figure.savefig(path)


def mean_curve(runs: Sequence[Run]) -> tuple[Sequence[float], Sequence[float]]:
    """Average the logarithms of several seeds' losses, as long as half of them go on."""
    if not runs:
        return [], []
    steps = np.arange(1, sorted(run.curve[-1][0] for run in runs)[len(runs) // 2] + 1)
    logs = []
    for run in runs:
        at, losses = zip(*run.curve, strict=True)
        inside = np.interp(steps, at, np.log(losses), right=np.nan)
        logs.append(inside)
    return steps.tolist(), np.exp(np.nanmean(logs, axis=0)).tolist()


def draw_sensitivity(results: Results, path: Path) -> None:
    """Draw steps to the target by the multiple of the learning rate that was best for speed."""
    figure, panels = _figure(len(CURVES), (11.0, 3.4))
    choices = SENSITIVITY["multiple of the step"]
    for axes, task in zip(panels, CURVES, strict=True):
        for name in DRAWN:
            rates = results.rates(task, name)
            if rates is None:
                continue
            tuned = sorted((r for r in results.of(task, name) if r.tuning), key=lambda r: r.lr)
            points = [(r.lr / rates[1], r.reached or math.nan) for r in tuned]
            axes.plot(
                *zip(*points, strict=True), color=COLOURS[name], marker=".", label=title_of(name)
            )
        steps = [results.steps(task, optimizer) for optimizer in choices.values()]
        values = [math.nan if f is None or math.isinf(f.mean) else f.mean for f in steps]
        scales = [float(label) for label in choices]
        axes.plot(scales, values, color=COLOURS[OURS], lw=2.2, marker="D", label=title_of(OURS))
        axes.set(title=TASKS[task].title, xscale="log", yscale="log")
        axes.set(xlabel="multiple of the learning rate", xlim=(0.02, 50), ylim=(8, 800))
        axes.title.set_fontsize(9)
    panels[0].set_ylabel("steps to the target")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside right center", fontsize=8)
    figure.savefig(path)


def _figure(panels: int, size: tuple[float, float]) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    found = figure.subplots(1, panels, squeeze=False)[0]
    for axes in found:
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, list(found)
