"""Pictures of game graphs: stages left to right, one colour per player, skip edges as arcs."""

from os import PathLike
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from ocngame.games.stage import Stage, StageKind

if TYPE_CHECKING:
    from ocngame.games.graph import GameGraph

__all__ = ["PALETTE", "draw_game"]

_PER_ROW = 12
_ROW_HEIGHT = 2.6
PALETTE = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee8866", "#44bb99")
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
    places = {stage.name: _place(stage.index) for stage in stages}
    above = 1.7 if any(_skips(places[a], places[b]) for a, b in game.graph.edges()) else 1.0
    height = _ROW_HEIGHT * (rows - 1) + 0.6 + above
    figure = Figure(figsize=(max(6.0, 1.35 * columns), 0.85 * height), dpi=130)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    colours = {player.name: PALETTE[i % len(PALETTE)] for i, player in enumerate(game.players)}
    for source, target, data in game.graph.edges(data=True):
        ends = game.stages_by_name[source].index, game.stages_by_name[target].index
        skip = ends[1] - ends[0] > 1
        _draw_edge(axes, places[source], places[target], data.get("shape"), skip)
    for stage in stages:
        _draw_stage(axes, stage, places[stage.name], colours)
    axes.set_xlim(-0.7, columns - 0.3)
    axes.set_ylim(above - height, above)
    axes.axis("off")
    acting = len(game.control_stages)
    axes.set_title(
        f"{acting} stages with a control, {len(game.players)} "
        f"player{'s' if len(game.players) != 1 else ''}; grey: nobody acts",
        fontsize=9,
        y=1.0 - 0.3 / height,
    )
    figure.savefig(path)


def _place(index: int) -> tuple[float, float]:
    return float(index % _PER_ROW), -_ROW_HEIGHT * (index // _PER_ROW)


def _skips(start: tuple[float, float], end: tuple[float, float]) -> bool:
    """Whether an edge does not lead to the place beside it."""
    return start[1] != end[1] or end[0] - start[0] > 1


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
    skip: bool,
) -> None:
    (x0, y0), (x1, y1) = start, end
    neighbour = not _skips(start, end)
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
            linewidth=1.6 if skip else 1.0,
            color="#bb5566" if skip else "#555555",
            zorder=2,
        )
    )
    if shape is not None and neighbour:
        text = "×".join(str(size) for size in shape)
        axes.text((x0 + x1) / 2, y0 + 0.12, text, ha="center", fontsize=6, color="#555555")
