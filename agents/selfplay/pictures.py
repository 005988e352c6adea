"""Curves of a self-play run: exploitability where it is known, payoffs against random."""

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ocngame.agents.selfplay.rows import SelfPlayRow

__all__ = ["draw_selfplay_curves"]

_COLOURS = ("#4477aa", "#ee6677", "#228833")


def draw_selfplay_curves(rows: Sequence[SelfPlayRow], path: Path) -> None:
    """Draw the curves by decisions.

    Args:
        rows: Rows of the run in order.
        path: File to write; the ending chooses the format.
    """
    known = any(math.isfinite(row.exploitability) for row in rows)
    figure = Figure(figsize=(9 if known else 5, 3.4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 if known else 1, squeeze=False)[0]
    steps = [row.decisions for row in rows]
    if known:
        for label, colour, values in (
            ("policy", _COLOURS[0], [row.exploitability for row in rows]),
            ("reference", _COLOURS[1], [row.magnet_exploitability for row in rows]),
        ):
            axes[0].plot(steps, values, color=colour, label=label, linewidth=1.2)
        axes[0].set(xlabel="decisions", ylabel="exploitability", yscale="log")
        axes[0].legend(frameon=False)
    seats = rows[0].against_random if rows else {}
    for seat, colour in zip(seats, _COLOURS, strict=False):
        values = [row.against_random[seat] for row in rows]
        axes[-1].plot(steps, values, color=colour, label=seat, linewidth=1.2)
    axes[-1].set(xlabel="decisions", ylabel="payoff against random")
    if seats:
        axes[-1].legend(frameon=False)
    for one in axes:
        one.grid(color="#dddddd", linewidth=0.6)
        one.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
