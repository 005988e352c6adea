"""Pictures of game graphs: stages left to right, one colour per player, skip edges as arcs."""

from os import PathLike
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from ocngame.games.stage import Stage, StageKind

if TYPE_CHECKING:
    from ocngame.games.graph import GameGraph

__all__ = ["draw_game"]

_PER_ROW = 12
_ROW_HEIGHT = 2.6
_PALETTE = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee8866", "#44bb99")
_PASSIVE = "#dddddd"


def draw_game(game: "GameGraph", path: str | PathLike[str]) -> None:
    """Draw a game graph to a file.

    Args:
        game: The game.
        path: File to write; the ending chooses the format.
    """
    stages = game.stages
    columns = min(len(stages), _PER_ROW)
    rows = -(-len(stages) // _PER_ROW)
    figure = Figure(figsize=(max(6.0, 1.35 * columns), 0.9 + _ROW_HEIGHT * 0.8 * rows), dpi=130)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    colours = {player.name: _PALETTE[i % len(_PALETTE)] for i, player in enumerate(game.players)}
    places = {stage.name: _place(stage.index) for stage in stages}
    for source, target, data in game.graph.edges(data=True):
        _draw_edge(axes, places[source], places[target], data.get("shape"))
    for stage in stages:
        _draw_stage(axes, stage, places[stage.name], colours)
    axes.set_xlim(-0.7, columns - 0.3)
    axes.set_ylim(-_ROW_HEIGHT * (rows - 1) - 0.9, 1.7)
    axes.axis("off")
    acting = len(game.control_stages)
    axes.set_title(
        f"{acting} stages with a control, {len(game.players)} "
        f"player{'s' if len(game.players) != 1 else ''}; grey: nobody acts",
        fontsize=9,
        y=0.94,
    )
    figure.savefig(path)


def _place(index: int) -> tuple[float, float]:
    return float(index % _PER_ROW), -_ROW_HEIGHT * (index // _PER_ROW)


def _draw_stage(axes, stage: Stage, place: tuple[float, float], colours: dict[str, str]) -> None:
    x, y = place
    colour = colours[stage.player] if stage.player else _PASSIVE
    round_ends = stage.kind in (StageKind.INPUT, StageKind.OUTPUT)
    axes.add_patch(
        FancyBboxPatch(
            (x - 0.36, y - 0.27),
            0.72,
            0.54,
            boxstyle=f"round,pad=0,rounding_size={0.25 if round_ends else 0.06}",
            facecolor=colour,
            edgecolor="#333333",
            linewidth=0.8,
            zorder=3,
        )
    )
    label = stage.operation if len(stage.operation) <= 13 else "…" + stage.operation[-12:]
    ink = "white" if stage.player else "black"
    axes.text(x, y + 0.07, label, ha="center", va="center", fontsize=7, color=ink, zorder=4)
    axes.text(
        x, y - 0.12, stage.kind.value, ha="center", va="center", fontsize=6, color=ink, zorder=4
    )


def _draw_edge(
    axes,
    start: tuple[float, float],
    end: tuple[float, float],
    shape: tuple[int, ...] | None,
) -> None:
    (x0, y0), (x1, y1) = start, end
    neighbour = y0 == y1 and x1 - x0 <= 1
    if neighbour:
        tail, head, bend = (x0 + 0.36, y0), (x1 - 0.36, y1), 0.0
    elif y0 == y1:
        tail, head, bend = (x0, y0 + 0.27), (x1, y1 + 0.27), -0.35
    else:
        tail, head, bend = (x0, y0 - 0.27), (x1, y1 + 0.27), 0.05
    axes.add_patch(
        FancyArrowPatch(
            tail,
            head,
            connectionstyle=f"arc3,rad={bend}",
            arrowstyle="-|>",
            mutation_scale=8,
            linewidth=1.0 if neighbour else 1.6,
            color="#555555" if neighbour else "#bb5566",
            zorder=2,
        )
    )
    if shape is not None and neighbour:
        text = "×".join(str(size) for size in shape)
        axes.text((x0 + x1) / 2, y0 + 0.12, text, ha="center", fontsize=6, color="#555555")
