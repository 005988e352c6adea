"""Picture of a trained integration time: the time and the evaluations of a pass by steps."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ocngame.training.curves import COLOURS, LABELS
from ocngame.training.ode.rows import ODERow

__all__ = ["draw_times"]


def draw_times(rows: Sequence[ODERow], bounds: tuple[float, float], path: Path) -> None:
    """Draw the time at which the equation ends, and the evaluations of a pass, by steps.

    Args:
        rows: Rows of all contenders, in the order of their steps.
        bounds: The least and the greatest time.
        path: File to write; the ending chooses the format.
    """
    figure = Figure(figsize=(9, 3.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    longest = 1.0
    for name in dict.fromkeys(row.optimizer for row in rows):
        own = [row for row in rows if row.optimizer == name and "time" in row.details]
        steps = [row.step for row in own]
        times = [row.details["time"] for row in own]
        counts = [row.details["pass_evaluations"] for row in own]
        longest = max([longest, *times])
        style = {"color": COLOURS.get(name), "label": LABELS.get(name, name), "linewidth": 1.4}
        left.plot(steps, times, **style)
        right.step(steps, counts, where="post", **style)
    left.axhline(bounds[0], color="#888888", linewidth=0.8, linestyle=":", label="bound")
    if bounds[1] <= 1.5 * longest:
        left.axhline(bounds[1], color="#888888", linewidth=0.8, linestyle=":")
    left.set_ylabel("integration time")
    right.set_ylabel("evaluations of a pass")
    for axes in (left, right):
        axes.set_xlabel("steps")
        axes.set_ylim(bottom=0)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False)
    figure.savefig(path)
