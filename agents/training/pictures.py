"""Pictures of a multi-agent run: returns of every team by frames and by processor time."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ocngame.agents.training.rows import MarlRow

__all__ = ["draw_returns"]

_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#222222")


def draw_returns(rows: Sequence[MarlRow], path: Path) -> None:
    """Draw measured returns: drawn actions as lines, the most probable ones dashed.

    Args:
        rows: Rows of all teams, in the order of their steps.
        path: File to write; the ending chooses the format.
    """
    figure = Figure(figsize=(9, 3.4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2, sharey=True)
    for i, team in enumerate(dict.fromkeys(row.team for row in rows)):
        own = [row for row in rows if row.team == team]
        colour = _COLOURS[i % len(_COLOURS)]
        for axis, x in zip(
            axes, ([r.frames for r in own], [r.cpu_seconds for r in own]), strict=True
        ):
            axis.plot(x, [row.drawn for row in own], color=colour, linewidth=1.2, label=team)
            most = [row.deterministic for row in own]
            axis.plot(x, most, color=colour, linewidth=1.0, linestyle="--")
    axes[0].set(xlabel="frames", ylabel="return per agent and episode")
    axes[1].set(xlabel="CPU seconds")
    axes[1].plot([], [], color="#555555", linewidth=1.2, label="drawn actions")
    axes[1].plot([], [], color="#555555", linewidth=1.0, linestyle="--", label="most probable")
    axes[1].legend(frameon=False, fontsize=8)
    for axis in axes:
        axis.grid(color="#dddddd", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
