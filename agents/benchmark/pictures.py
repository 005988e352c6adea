"""Pictures of a benchmark: learning curves, cross-play and performance profiles."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["draw_crossplay", "draw_curves", "draw_profiles"]

_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#222222")
_LABELS = {"frames": "frames", "cpu_seconds": "CPU seconds"}


def draw_curves(results: Sequence[Mapping[str, Any]], path: Path, *, against: str) -> None:
    """Draw returns of drawn actions: a panel per world and team, a line per contender.

    A line is the mean of the runs, and the band goes from the worst to the best run.

    Args:
        results: Trainings and players without training; others are left out.
        path: File to write.
        against: frames or cpu_seconds.
    """
    trained = [r for r in results if r["kind"] == "training"]
    panels = list(dict.fromkeys((r["world"], team) for r in trained for team in r["teams"]))
    figure, grid = _panels(len(panels))
    labels = list(dict.fromkeys(r["label"] for r in trained))
    for axis, (world, team) in zip(grid, panels, strict=True):
        for i, label in enumerate(labels):
            curves = [
                r["teams"][team]["curve"]
                for r in trained
                if r["world"] == world and r["label"] == label
            ]
            if not curves:
                continue
            colour = _COLOURS[i % len(_COLOURS)]
            low = max(c[against][0] for c in curves)
            high = min(c[against][-1] for c in curves)
            x = np.linspace(low, high, 200) if high > low else np.array([high])
            y = np.array([np.interp(x, c[against], c["drawn"]) for c in curves])
            axis.plot(x, y.mean(0), color=colour, linewidth=1.4, label=label)
            axis.fill_between(x, y.min(0), y.max(0), color=colour, alpha=0.18, linewidth=0)
        for r in results:
            if r["kind"] == "player" and r["world"] == world and r["label"] == "random":
                axis.axhline(
                    r["teams"][team]["drawn"],
                    color="#555555",
                    linewidth=0.9,
                    linestyle=":",
                    label="random",
                )
        axis.set(title=f"{world}: {team}", xlabel=_LABELS[against], ylabel="return per agent")
    if panels:
        grid[0].legend(frameon=False, fontsize=8)
    figure.savefig(path)


def draw_crossplay(crosses: Mapping[str, Any], path: Path) -> None:
    """Draw returns of all pairings: a heat map per world and team.

    Args:
        crosses: Per world what `cross_table` gave; at least one.
        path: File to write.
    """
    panels = [(world, team) for world, cross in crosses.items() for team in cross["teams"]]
    count = max(len(cross["labels"]) for cross in crosses.values())
    size = 1.4 + 0.9 * count
    figure = Figure(figsize=(2 * (size + 1.0), size * len(crosses)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(crosses), 2, squeeze=False).ravel()
    for axis, (world, team) in zip(grid, panels, strict=True):
        cross = crosses[world]
        cells = cross["returns"][team]
        values = np.array([[cell["value"] for cell in row] for row in cells])
        image = axis.imshow(values, cmap="viridis")
        middle = (values.min() + values.max()) / 2
        for i, row in enumerate(cells):
            for j, cell in enumerate(row):
                text = f"{cell['value']:.2f}\n[{cell['low']:.2f}, {cell['high']:.2f}]"
                colour = "white" if values[i, j] < middle else "black"
                axis.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)
        ticks = range(len(cross["labels"]))
        axis.set_xticks(ticks, cross["labels"], fontsize=8)
        axis.set_yticks(ticks, cross["labels"], fontsize=8)
        first, second = cross["teams"]
        axis.set(title=f"{world}: return of {team}", xlabel=second, ylabel=first)
        figure.colorbar(image, ax=axis, shrink=0.8)
    figure.savefig(path)


def draw_profiles(panels: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw performance profiles with their bands.

    Args:
        panels: What `profile_panels` gave; at least one.
        path: File to write.
    """
    figure, grid = _panels(len(panels))
    labels = list(dict.fromkeys(label for panel in panels for label in panel["profiles"]))
    colours = {label: _COLOURS[i % len(_COLOURS)] for i, label in enumerate(labels)}
    for axis, panel in zip(grid, panels, strict=True):
        for label, own in panel["profiles"].items():
            axis.plot(panel["taus"], own["value"], color=colours[label], linewidth=1.4, label=label)
            axis.fill_between(
                panel["taus"],
                own["low"],
                own["high"],
                color=colours[label],
                alpha=0.18,
                linewidth=0,
            )
        sense = "at most" if panel["at_most"] else "at least"
        axis.set(
            title=panel["title"],
            xlabel=f"{panel['axis']} x",
            ylabel=f"share of runs with {sense} x",
            ylim=(-0.03, 1.03),
        )
        axis.title.set_fontsize(9)
        axis.legend(frameon=False, fontsize=8)
    figure.savefig(path)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """Make a figure of so many panels, three to a row."""
    columns = min(3, max(1, count))
    lines = max(1, -(-count // columns))
    figure = Figure(figsize=(4.2 * columns, 3.2 * lines), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    grid = list(figure.subplots(lines, columns, squeeze=False).ravel())
    for axis in grid[count:]:
        axis.set_visible(False)
    for axis in grid[:count]:
        axis.grid(color="#dddddd", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, grid[:count]
