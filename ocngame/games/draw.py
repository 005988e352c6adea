"""Pictures of game graphs: stages left to right, one colour per player, skip edges as arcs."""

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from ocngame.games.layout import Box, Layout, lay_out
from ocngame.games.stage import Stage, StageKind

if TYPE_CHECKING:
    from ocngame.games.graph import GameGraph

__all__ = ["PALETTE", "draw_game"]

_LANE_HEIGHT = 1.0
_ROW_GAP = 0.9
PALETTE = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee8866", "#44bb99")
_PASSIVE, _LISTED, _LINE, _SKIP = "#dddddd", "#ffffff", "#555555", "#bb5566"

Place = tuple[float, float]


def draw_game(game: "GameGraph", path: str | PathLike[str]) -> None:
    """Draw a game graph to a file.

    Args:
        game: The game.
        path: File to write; the ending chooses the format.
    """
    layout = lay_out(game)
    places = _places(layout)
    lowest = min(y for _, y in places.values()) - 0.75
    width = max(layout.columns, 5)
    figure = Figure(figsize=(1.35 * width + 0.3, 0.85 * (1.6 - lowest)), dpi=130)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    axes.set_xlim(-0.7, width - 0.3)
    axes.set_ylim(lowest, 1.6)
    axes.axis("off")
    for block, names in layout.blocks:
        _draw_block(axes, block, [places[name] for name in names if name in places], layout)
    for source, target in layout.edges:
        _draw_edge(axes, layout.boxes, places, source, target)
    colours = {player.name: PALETTE[i % len(PALETTE)] for i, player in enumerate(game.players)}
    for name, box in layout.boxes.items():
        _draw_box(axes, box, places[name], colours)
    axes.text(-0.6, 1.42, _title(game), fontsize=9, va="top")
    figure.savefig(path)


def _title(game: "GameGraph") -> str:
    acting, players = len(game.control_stages), len(game.players)
    title = f"{acting} stages with a control, {players} player{'s' * (players != 1)}"
    if game.uncovered:
        title += f"; {len(game.uncovered)} parameters without a stage"
    return title + " (grey: nobody acts)"


def _places(layout: Layout) -> dict[str, Place]:
    tops, top = [], 0.0
    for lanes in layout.lanes:
        tops.append(top)
        top -= _LANE_HEIGHT * lanes + _ROW_GAP
    return {
        name: (float(box.column), tops[box.row] - _LANE_HEIGHT * box.lane)
        for name, box in layout.boxes.items()
    }


def _draw_block(axes: Axes, block: str, places: Sequence[Place], layout: Layout) -> None:
    """Shade the boxes of a module block, row by row."""
    if not block or len(layout.blocks) < 3:
        return
    rows: dict[int, list[Place]] = {}
    for x, y in places:
        row = next((r for r in rows if abs(rows[r][0][1] - y) < 2.5 * _LANE_HEIGHT), len(rows))
        rows.setdefault(row, []).append((x, y))
    for row in rows.values():
        left, right = min(x for x, _ in row) - 0.47, max(x for x, _ in row) + 0.47
        low, high = min(y for _, y in row) - 0.5, max(y for _, y in row) + 0.5
        axes.add_patch(
            FancyBboxPatch(
                (left, low),
                right - left,
                high - low,
                boxstyle="round,pad=0,rounding_size=0.1",
                facecolor="#f4f4f4",
                edgecolor="#cccccc",
                linewidth=0.6,
                zorder=0,
            )
        )
        axes.text(left + 0.06, high + 0.05, block, fontsize=7, color="#777777", zorder=4)


def _draw_box(axes: Axes, box: Box, place: Place, colours: dict[str, str]) -> None:
    x, y = place
    acting = box.acting
    first = acting if acting is not None else box.stages[0]
    colour = colours[acting.player] if acting and acting.player else _PASSIVE
    listed = any(stage.kind is StageKind.BLOCK for stage in box.stages)
    round_ends = first.kind in (StageKind.INPUT, StageKind.OUTPUT)
    axes.add_patch(
        FancyBboxPatch(
            (x - 0.38, y - 0.27),
            0.76,
            0.54,
            boxstyle=f"round,pad=0,rounding_size={0.25 if round_ends else 0.06}",
            facecolor=_LISTED if listed else colour,
            edgecolor="#333333",
            linewidth=0.8,
            zorder=3,
        )
    )
    ink = "white" if acting else "black"
    inside = f"{first.block}." if first.block else ""
    label = _short(first.operation.removeprefix(inside))
    rest = [_name(stage) for stage in box.stages if stage is not first]
    axes.text(x, y + 0.1, label, ha="center", va="center", fontsize=7, color=ink, zorder=4)
    axes.text(
        x, y - 0.04, first.kind.value, ha="center", va="center", fontsize=5.5, color=ink, zorder=4
    )
    if rest:
        more = " · ".join(rest) if len(" · ".join(rest)) <= 16 else f"{rest[0]} … {rest[-1]}"
        more = _short(more, 17)
        axes.text(x, y - 0.17, more, ha="center", va="center", fontsize=5, color=ink, zorder=4)
    shape = box.stages[-1].shape
    if shape:
        text = "×".join(str(size) for size in shape)
        axes.text(x, y - 0.36, text, ha="center", va="center", fontsize=5.5, color=_LINE, zorder=4)


def _name(stage: Stage) -> str:
    """Give the last part of an operation's name, or its kind where that is a number."""
    last = stage.operation.rsplit(".", 1)[-1]
    return stage.kind.value if last.isdigit() else last


def _short(text: str, limit: int = 13) -> str:
    return text if len(text) <= limit else "…" + text[1 - limit :]


def _draw_edge(
    axes: Axes, boxes: dict[str, Box], places: dict[str, Place], source: str, target: str
) -> None:
    start, end = boxes[source], boxes[target]
    (x0, y0), (x1, y1) = places[source], places[target]
    skips = end.column - (start.column if start.row == end.row else -1) > 1
    if start.row != end.row:
        aside, above = x0 + 0.47, y1 + _LANE_HEIGHT * end.lane + 0.72
        xs, ys = (x0 + 0.38, aside, aside, x1), (y0, y0, above, above)
        axes.plot(xs, ys, color=_SKIP if skips else _LINE, linewidth=1.0, zorder=1)
        tail, head, curve = (x1, above), (x1, y1 + 0.27), 0.0
    elif skips and start.lane == end.lane:
        tail, head = (x0 + 0.2, y0 + 0.27), (x1 - 0.2, y1 + 0.27)
        curve = -min(0.32, 0.55 / (x1 - x0))
    else:
        tail, head, curve = (x0 + 0.38, y0), (x1 - 0.38, y1), 0.0
    axes.add_patch(
        FancyArrowPatch(
            tail,
            head,
            connectionstyle=f"arc3,rad={curve}",
            arrowstyle="-|>",
            mutation_scale=7,
            shrinkA=0,
            shrinkB=0,
            linewidth=1.5 if skips else 1.0,
            color=_SKIP if skips else _LINE,
            zorder=2,
        )
    )
