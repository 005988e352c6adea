"""Pictures of a robust run: accuracy against processor time, and against the size of the ball."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ocngame.training.robust_rows import RobustRow

__all__ = ["draw_robust_curves", "draw_robustness"]

_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")


def draw_robust_curves(rows: Sequence[RobustRow], path: Path) -> None:
    """Draw every rival's clean and quickly measured robust accuracy by processor time.

    Args:
        rows: Rows of all rivals, in the order of their steps.
        path: File to write; the ending chooses the format.
    """
    figure = Figure(figsize=(9, 3.4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    clean, robust = figure.subplots(1, 2)
    for i, method in enumerate(dict.fromkeys(row.method for row in rows)):
        own = [row for row in rows if row.method == method]
        seconds = [row.cpu_seconds for row in own]
        colour = _COLOURS[i % len(_COLOURS)]
        clean.plot(seconds, [100 * row.clean for row in own], color=colour, label=method)
        robust.plot(seconds, [100 * row.robust for row in own], color=colour, label=method)
    clean.set(xlabel="processor seconds", ylabel="clean accuracy, %")
    robust.set(xlabel="processor seconds", ylabel="accuracy under 10 ascents, %")
    _finish(clean, robust)
    figure.savefig(path)


def draw_robustness(curves: Mapping[str, Mapping[float, float]], radius: float, path: Path) -> None:
    """Draw robust accuracy against the radius of the ball.

    Args:
        curves: For every rival the share that stays right, by radius.
        radius: The radius trained for.
        path: File to write; the ending chooses the format.
    """
    figure = Figure(figsize=(5, 3.4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for i, (name, curve) in enumerate(curves.items()):
        shares = [100 * share for share in curve.values()]
        colour = _COLOURS[i % len(_COLOURS)]
        axes.plot(list(curve), shares, color=colour, marker=".", label=name)
    axes.axvline(radius, color="#888888", linewidth=0.8, linestyle=":")
    axes.set(xlabel="radius of the ball", ylabel="accuracy under 20 ascents, %", ylim=(-2, 102))
    _finish(axes)
    figure.savefig(path)


def _finish(*every) -> None:
    for axes in every:
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
