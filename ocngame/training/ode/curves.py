"""Curves of a continuous-time run by steps, by evaluations of the field and by processor time."""

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ocngame.training.curves import COLOURS, LABELS
from ocngame.training.ode.rows import ODERow

__all__ = ["draw_ode_curves"]


def draw_ode_curves(rows: Sequence[ODERow], path: Path) -> None:
    """Draw the curves to a file: training loss above, accuracy or likelihood on test samples below.

    Args:
        rows: Rows of all contenders, in the order of their steps.
        path: File to write; the ending chooses the format.
    """
    classes = any(math.isfinite(row.test_accuracy) for row in rows)
    falls_below_zero = any(row.train_loss <= 0 for row in rows)
    figure = Figure(figsize=(11, 6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 3, sharex="col")
    for name in dict.fromkeys(row.optimizer for row in rows):
        own = [row for row in rows if row.optimizer == name]
        style = {"color": COLOURS.get(name), "label": LABELS.get(name, name), "linewidth": 1.4}
        tests = [100 * row.test_accuracy if classes else -row.test_loss for row in own]
        for column, along in enumerate(
            ([r.step for r in own], [r.evaluations for r in own], [r.cpu_seconds for r in own])
        ):
            upper[column].plot(along, [row.train_loss for row in own], **style)
            lower[column].plot(along, tests, **style)
    labels = ("steps", "evaluations of the field", "processor seconds")
    for axes, label in zip(lower, labels, strict=True):
        axes.set_xlabel(label)
    upper[0].set_ylabel("training loss")
    lower[0].set_ylabel("test accuracy (%)" if classes else "minus test loss")
    for axes in (*upper, *lower):
        _plain(axes)
    if not falls_below_zero:
        for axes in upper:
            axes.set_yscale("log")
    if rows:
        lower[0].legend(loc="lower right", frameon=False)
    figure.savefig(path)


def _plain(axes: Axes) -> None:
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
