"""Curves of a run: training loss by steps and by processor time, test accuracy by steps."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ocngame.training.metrics import MetricsRow

__all__ = ["COLOURS", "LABELS", "draw_curves"]

LABELS = {"ocnopt": "OCNOpt", "adam": "Adam", "sgd": "SGD+momentum"}
COLOURS = {"ocnopt": "#4477aa", "adam": "#ee6677", "sgd": "#228833"}


def draw_curves(rows: Sequence[MetricsRow], path: Path) -> None:
    """Draw the curves to a file.

    Args:
        rows: Rows of all contenders, in the order of their steps.
        path: File to write; the ending chooses the format.
    """
    figure = Figure(figsize=(11, 3.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    by_step, by_time, accuracy = figure.subplots(1, 3)
    for name in dict.fromkeys(row.optimizer for row in rows):
        own = [row for row in rows if row.optimizer == name]
        style = {"color": COLOURS.get(name), "label": LABELS.get(name, name), "linewidth": 1.4}
        steps = [row.step for row in own]
        losses = [row.train_loss for row in own]
        by_step.plot(steps, losses, **style)
        by_time.plot([row.cpu_seconds for row in own], losses, **style)
        accuracy.plot(steps, [100 * row.test_accuracy for row in own], **style)
    for axes, x_label, y_label in (
        (by_step, "steps", "training loss"),
        (by_time, "processor seconds", "training loss"),
        (accuracy, "steps", "test accuracy (%)"),
    ):
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in (by_step, by_time):
        axes.set_yscale("log")
    if rows:
        floor = min(100 * row.test_accuracy for row in rows if row.step == rows[-1].step)
        accuracy.set_ylim(max(0.0, floor - 10), 100)
        accuracy.legend(loc="lower right", frameon=False)
    figure.savefig(path)
