"""Tables and the picture of the cross-play matrices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.marl.entrants import Entrant
from benchmarks.marl.matrix import Cell, means_with_intervals, read

__all__ = ["Matrix", "draw", "gains_over", "matrix_of", "table"]

TEAMS = ("adversary", "agent")
Matrix = dict[tuple[str, str], Cell]
"""By who plays the adversaries and who the agents."""


def matrix_of(path: Path, players: Sequence[Entrant], team: str) -> Matrix:
    """Give a team's mean return for every pair of labels.

    Args:
        path: The file of pairs.
        players: Whose pairs are in it.
        team: Whose return.

    Returns:
        The cells.
    """
    kept, rng = read(path), np.random.default_rng(0)
    names = _names(players)
    found = {}
    for first in names:
        for second in names:
            block = [[kept[f"{a}|{b}"][team] for b in names[second]] for a in names[first]]
            found[first, second] = means_with_intervals(np.array(block), rng)
    return found


def gains_over(
    path: Path, players: Sequence[Entrant], team: str, reference: str, opponent: str
) -> dict[str, Cell]:
    """Give how much more a team earns than a reference against the same opponents and starts.

    Args:
        path: The file of pairs.
        players: Whose pairs are in it.
        team: Whose return, and whose players are compared.
        reference: Label of the reference.
        opponent: Label of the opponents.

    Returns:
        By label of the player.
    """
    kept, rng = read(path), np.random.default_rng(0)
    names = _names(players)

    def block(label: str) -> np.ndarray:
        rows = []
        for mine in names[label]:
            pairs = [(mine, o) if team == TEAMS[0] else (o, mine) for o in names[opponent]]
            rows.append([kept[f"{a}|{b}"][team] for a, b in pairs])
        return np.array(rows)

    base = block(reference).mean(0)
    return {
        label: means_with_intervals(block(label) - base, rng)
        for label in names
        if label != reference
    }


def table(cells: Matrix) -> str:
    """Give a matrix as Markdown: rows play the adversaries, columns the agents.

    Args:
        cells: The matrix.

    Returns:
        The table.
    """
    labels = _labels(cells)
    lines = ["| adversary \\ agent | " + " | ".join(labels) + " |"]
    lines.append("|---" * (len(labels) + 1) + "|")
    for first in labels:
        row = [
            f"{m:.1f} [{low:.1f}, {high:.1f}]"
            for m, low, high in (cells[first, second] for second in labels)
        ]
        lines.append(f"| {first} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def draw(matrices: dict[str, dict[str, Matrix]], path: Path) -> None:
    """Draw all matrices: a row of panels per world, a panel per team, green is good for the team.

    Args:
        matrices: By world and team.
        path: The file.
    """
    figure = Figure(figsize=(10.5, 4.3 * len(matrices)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(matrices), len(TEAMS), squeeze=False)
    for axes, (world, teams) in zip(grid, matrices.items(), strict=True):
        for axis, (team, cells) in zip(axes, teams.items(), strict=True):
            labels = _labels(cells)
            values = np.array([[cells[a, b][0] for b in labels] for a in labels])
            axis.imshow(values, cmap="RdYlGn", aspect="auto", alpha=0.75)
            for i, a in enumerate(labels):
                for j, b in enumerate(labels):
                    mean, low, high = cells[a, b]
                    text = f"{mean:.1f}\n[{low:.1f}, {high:.1f}]"
                    axis.text(j, i, text, ha="center", va="center", fontsize=7.5)
            axis.set_xticks(range(len(labels)), labels)
            axis.set_yticks(range(len(labels)), labels)
            axis.set(xlabel="plays the agent", title=f"{world}: return of each {team}")
            axis.set_ylabel("plays the adversaries")
    figure.savefig(path)


def _names(players: Sequence[Entrant]) -> dict[str, list[str]]:
    labels = dict.fromkeys(p.label for p in players)
    return {label: [p.name for p in players if p.label == label] for label in labels}


def _labels(cells: Matrix) -> list[str]:
    return list(dict.fromkeys(first for first, _ in cells))
