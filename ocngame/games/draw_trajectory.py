"""Pictures of trajectories: paths in the plane where bodies have positions, curves where not."""

from collections.abc import Sequence
from os import PathLike

import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from ocngame.games.draw import PALETTE

__all__ = ["animate_paths", "draw_side_by_side", "draw_trajectory"]

_FRAMES = 40


def draw_trajectory(
    states: Tensor,
    controls: Tensor,
    path: str | PathLike[str],
    *,
    positions: Sequence[slice] = (),
    control_slices: Sequence[slice] = (),
    title: str = "",
) -> None:
    """Draw a trajectory to a file.

    Args:
        states: States, shape (T+1, n).
        controls: Joint controls, shape (T, m).
        path: File to write; the ending chooses the format.
        positions: Slices of the state that are places in the plane, one per body; without them
            the states are drawn over the stages.
        control_slices: Each player's slice of the joint control.
        title: What it is.
    """
    x, u = (part.detach().cpu().numpy() for part in (states, controls))
    figure = Figure(figsize=(9.5, 4.4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    if positions:
        _draw_paths(left, x, positions)
    else:
        for k in range(x.shape[1]):
            left.plot(x[:, k], color=PALETTE[k % len(PALETTE)], label=f"x{k}")
        _name(left, "stage", "state")
        left.legend(frameon=False, fontsize=8)
    for i, block in enumerate(control_slices):
        for k in range(block.start, block.stop):
            style = ("-", "--", ":", "-.")[(k - block.start) % 4]
            label = f"player {i}" if k == block.start else None
            right.plot(u[:, k], color=PALETTE[i % len(PALETTE)], linestyle=style, label=label)
    _name(right, "stage", "control")
    right.legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path)


def animate_paths(
    states: Tensor, positions: Sequence[slice], path: str | PathLike[str], *, title: str = ""
) -> None:
    """Write an animation of bodies in the plane.

    Args:
        states: States, shape (T+1, n).
        positions: Slices of the state that are places in the plane, one per body.
        path: GIF file to write.
        title: What it is.
    """
    x = states.detach().cpu().numpy()
    figure = Figure(figsize=(4.6, 4.6), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    _draw_paths(axes, x, positions, faint=True)
    axes.set_title(title, fontsize=9)
    bodies = [
        axes.plot([], [], "o", color=PALETTE[i % len(PALETTE)], markersize=8)[0]
        for i in range(len(positions))
    ]
    figure.canvas.draw()
    figure.set_layout_engine("none")
    stages = np.unique(np.linspace(0, len(x) - 1, _FRAMES).astype(int))

    def place(stage: int) -> list:
        for body, block in zip(bodies, positions, strict=True):
            body.set_data(x[stage, block][:1], x[stage, block][1:2])
        return bodies

    animation = FuncAnimation(figure, place, frames=[int(stage) for stage in stages], blit=False)
    animation.save(str(path), writer=PillowWriter(fps=10))


def draw_side_by_side(
    states: Tensor,
    path: str | PathLike[str],
    *,
    positions: Sequence[slice],
    titles: Sequence[str],
) -> None:
    """Draw several trajectories of bodies in the plane next to each other, to a file.

    Args:
        states: States, shape (E, T+1, n).
        path: File to write; the ending chooses the format.
        positions: Slices of the state that are places in the plane, one per body.
        titles: What each trajectory is, E of them.
    """
    figure = Figure(figsize=(4.6 * len(states), 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(states), squeeze=False)[0]
    for axes, x, title in zip(panels, states.detach().cpu().numpy(), titles, strict=True):
        _draw_paths(axes, x, positions)
        axes.set_title(title, fontsize=9)
    figure.savefig(path)


def _draw_paths(axes: Axes, x: NDArray, positions: Sequence[slice], *, faint: bool = False) -> None:
    for i, block in enumerate(positions):
        place = x[:, block]
        colour = PALETTE[i % len(PALETTE)]
        axes.plot(
            place[:, 0], place[:, 1], color=colour, alpha=0.3 if faint else 1.0, label=f"body {i}"
        )
        if not faint:
            every = max(1, len(place) // 20)
            axes.plot(place[::every, 0], place[::every, 1], ".", color=colour)
            axes.plot(*place[0], "o", color=colour, markersize=7, fillstyle="none")
    axes.set_aspect("equal", adjustable="datalim")
    _name(axes, "x", "y")
    if not faint:
        axes.legend(frameon=False, fontsize=8)


def _name(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
