"""Pictures of trained fields: a phase portrait, and a density over time."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor, nn

from ocngame.games.continuous import NeuralODE
from ocngame.solvers.flows import ContinuousFlow
from ocngame.training.curves import LABELS
from ocngame.training.ode.networks import EquationNetwork
from ocngame.training.ode.samples import Samples
from ocngame.training.ode.times import end_time

__all__ = ["draw_density", "draw_phase_portrait", "states_over_time"]

_TIMES = 17
_SHOWN = 60
_DRAWN = 1500


def states_over_time(network: EquationNetwork, x: Tensor, count: int = _TIMES) -> Tensor:
    """Give the states of the equation at even times from 0 to where it ends.

    Args:
        network: The network.
        x: Its inputs, shape (B, ...).
        count: Number of times.

    Returns:
        Shape (B, count, ...).
    """
    times = torch.linspace(0.0, end_time(network), count).tolist()
    with torch.no_grad():
        start = network.begin(x)
        return NeuralODE(network.field, times=times, steps=1, every=True)(start)


def draw_phase_portrait(networks: Mapping[str, nn.Module], samples: Samples, path: Path) -> None:
    """Draw how states of test samples move, on the two directions in which they differ most.

    Args:
        networks: Networks by name.
        samples: Their samples; colours are classes, or the first number to regress on.
        path: File to write.
    """
    figure = Figure(figsize=(4.2 * len(networks), 4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    chosen = np.linspace(0, len(samples.x_test) - 1, min(_SHOWN, len(samples.x_test))).astype(int)
    x, y = samples.x_test[chosen], samples.y_test[chosen]
    shade = (y if y.ndim == 1 else y[:, 0]).double()
    shade = ((shade - shade.min()) / (shade.max() - shade.min()).clamp(min=1e-9)).tolist()
    for place, (name, network) in enumerate(networks.items()):
        axes = figure.add_subplot(1, len(networks), place + 1)
        if not isinstance(network, EquationNetwork):
            continue
        states = states_over_time(network, x).flatten(2)
        ends = states[:, -1] - states[:, -1].mean(0)
        plane = torch.linalg.svd(ends, full_matrices=False).Vh[:2]
        paths = ((states - states[:, -1].mean(0)) @ plane.T).numpy()
        colours = _colours(shade)
        for one, colour in zip(paths, colours, strict=True):
            axes.plot(one[:, 0], one[:, 1], color=colour, linewidth=0.8, alpha=0.7)
        axes.scatter(paths[:, 0, 0], paths[:, 0, 1], s=8, color="#888888", label="t = 0")
        axes.scatter(paths[:, -1, 0], paths[:, -1, 1], s=14, color=colours, label="end")
        axes.set_title(LABELS.get(name, name))
        axes.set_xlabel("first direction")
        axes.spines[["top", "right"]].set_visible(False)
        if place == 0:
            axes.set_ylabel("second direction")
            axes.legend(frameon=False)
    figure.savefig(path)


def draw_density(
    networks: Mapping[str, nn.Module], samples: Samples, seed: int, path: Path
) -> None:
    """Draw points that flows move from the normal distribution to the data, and the data.

    Args:
        networks: Flows by name.
        samples: Points of the data.
        seed: Seed of the normal numbers.
        path: File to write.
    """
    times = (1.0, 0.75, 0.5, 0.25, 0.0)
    figure = Figure(
        figsize=(2 * (len(times) + 2), 2.1 * len(networks)), dpi=130, layout="constrained"
    )
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(networks), len(times) + 2, squeeze=False)
    axis = torch.linspace(-4, 4, 81)
    points = torch.cartesian_prod(axis, axis)
    for row, (name, network) in zip(grid, networks.items(), strict=True):
        if not isinstance(network, ContinuousFlow):
            continue
        moved = network.path(_DRAWN, torch.Generator().manual_seed(seed), times)
        for axes, time, cloud in zip(row, times, moved, strict=False):
            axes.scatter(*cloud.T.numpy(), s=1.5, color="#4477aa", linewidths=0)
            axes.set_title(f"t = {time:g}", fontsize=9)
        with torch.no_grad():
            density = network.log_prob(points).exp().reshape(81, 81).T.numpy()
        row[-2].pcolormesh(axis.numpy(), axis.numpy(), density, cmap="viridis", rasterized=True)
        row[-2].set_title("density", fontsize=9)
        row[-1].scatter(*samples.x_test[:_DRAWN].T.numpy(), s=1.5, color="#222222", linewidths=0)
        row[-1].set_title("data", fontsize=9)
        row[0].set_ylabel(LABELS.get(name, name))
    for axes in grid.flat:
        axes.set(xlim=(-4, 4), ylim=(-4, 4), xticks=[], yticks=[], aspect="equal")
    figure.savefig(path)


def _colours(shades: list[float]) -> list[tuple[float, ...]]:
    return [tuple(colormaps["turbo"](shade)) for shade in shades]
