"""Pictures of an adversarial run: costs and residuals, trajectories in the plane, samples."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from ocngame.training.player_rows import PlayerRow

__all__ = ["draw_player_curves", "draw_samples", "draw_trajectories"]

_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#222222")
_REACH = 3.0
"""Costs are drawn up to this multiple of the first ones: methods that diverge leave the picture."""
_DEEP = 1e-16
"""Residuals are drawn down to here."""
_LINES = ("-", "--", ":", "-.")


def draw_player_curves(rows: Sequence[PlayerRow], names: Sequence[str], path: Path) -> None:
    """Draw every player's cost and residual by steps.

    Args:
        rows: Rows of all rivals, in the order of their steps.
        names: The players.
        path: File to write; the ending chooses the format.
    """
    figure = _figure(10, 3.6)
    costs, residuals = figure.subplots(1, 2)
    for method, colour, own in _by_method(rows):
        steps = [row.step for row in own]
        for i, player in enumerate(names):
            style = {"color": colour, "linestyle": _LINES[i % len(_LINES)], "linewidth": 1.2}
            label = f"{method}, {player}"
            costs.plot(steps, [row.costs[i] for row in own], **style)
            residuals.plot(steps, [row.residuals[i] for row in own], label=label, **style)
    costs.set(xlabel="steps", ylabel="cost")
    first = [abs(cost) for row in rows[: len(names)] for cost in row.costs]
    seen = [cost for row in rows for cost in row.costs if math.isfinite(cost)]
    reach = _REACH * max([*first, 1e-12])
    costs.set_ylim(max(min(seen, default=0), -reach), min(max(seen, default=1), reach))
    residuals.set(xlabel="steps", ylabel="norm of the own gradient", yscale="log")
    largest = max((n for row in rows for n in row.residuals if math.isfinite(n)), default=1.0)
    least = min((n for row in rows for n in row.residuals if n > 0), default=largest)
    residuals.set_ylim(bottom=max(least, _DEEP))
    residuals.legend(frameon=False, fontsize=6, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for axes in (costs, residuals):
        _tidy(axes)
    figure.savefig(path)


def draw_trajectories(
    rows: Sequence[PlayerRow], start: Sequence[float], goal: Sequence[float] | None, path: Path
) -> None:
    """Draw the first two numbers of the joint control in the plane, a picture per method.

    Args:
        rows: Rows of all rivals, in the order of their steps.
        start: Joint control before the first step.
        goal: The equilibrium, or None.
        path: File to write; the ending chooses the format.
    """
    groups = list(_by_method(rows))
    figure = _figure(3.2 * len(groups), 3.2)
    reach = 1.5 * max(1.0, *(abs(number) for number in start[:2]))
    for axes, (method, colour, own) in zip(
        figure.subplots(1, len(groups), squeeze=False)[0], groups, strict=True
    ):
        points = np.array([list(start[:2]), *(row.control[:2] for row in own)])
        axes.plot(*points.T, color=colour, linewidth=1, marker=".", markersize=3)
        axes.plot(*points[0], "k.", markersize=8)
        if goal is not None:
            axes.plot(*goal[:2], "k+", markersize=10)
        axes.set(title=method, xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        _tidy(axes)
    figure.savefig(path)


def draw_samples(
    snapshots: Mapping[str, Sequence[tuple[int, Tensor]]], data: Tensor, path: Path
) -> None:
    """Draw what generators make over time, a row per method, over the data.

    Args:
        snapshots: For every method the steps and samples that were kept: points of shape (S, 2),
            or images of shape (S, height, width).
        data: Samples of the data, of the same kind; images get a column of their own.
        path: File to write; the ending chooses the format.
    """
    if data.ndim == 3:
        _draw_images(snapshots, data, path)
        return
    columns = max(1, *(len(kept) for kept in snapshots.values()))
    figure = _figure(1.9 * columns, 2.1 * len(snapshots))
    grid = figure.subplots(len(snapshots), columns, squeeze=False)
    reach = 1.4 * float(data.abs().max())
    for cells, (method, kept), colour in zip(
        grid, snapshots.items(), _COLOURS * len(snapshots), strict=False
    ):
        for axes in cells:
            axes.set_axis_off()
        for axes, (step, samples) in zip(cells, kept, strict=False):
            axes.scatter(*data.T.numpy(), s=1, color="#dddddd")
            axes.scatter(*samples.T.numpy(), s=1, color=colour, alpha=0.4)
            axes.set_title(f"{method}, step {step}", fontsize=7)
            axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    figure.savefig(path)


def _draw_images(
    snapshots: Mapping[str, Sequence[tuple[int, Tensor]]], data: Tensor, path: Path
) -> None:
    columns = 1 + max(len(kept) for kept in snapshots.values())
    figure = _figure(1.9 * columns, 1.6 * len(snapshots))
    grid = figure.subplots(len(snapshots), columns, squeeze=False)
    for cells, (method, kept) in zip(grid, snapshots.items(), strict=True):
        for axes in cells:
            axes.set_axis_off()
        shown = [("data", data), *((f"{method}, step {step}", images) for step, images in kept)]
        for axes, (title, images) in zip(cells, shown, strict=False):
            axes.imshow(_mosaic(images), cmap="gray_r", vmin=0, vmax=1)
            axes.set_title(title, fontsize=7)
    figure.savefig(path)


def _mosaic(images: Tensor) -> np.ndarray:
    """Lay images (S, h, w) out in rows of eight."""
    count, height, width = images.shape
    across = min(8, count)
    down = math.ceil(count / across)
    whole = np.zeros((across * down, height, width))
    whole[:count] = images.numpy()
    return whole.reshape(down, across, height, width).swapaxes(1, 2).reshape(down * height, -1)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _by_method(rows: Sequence[PlayerRow]):
    names = dict.fromkeys(row.method for row in rows)
    for i, method in enumerate(names):
        yield method, _COLOURS[i % len(_COLOURS)], [row for row in rows if row.method == method]


def _tidy(axes) -> None:
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
