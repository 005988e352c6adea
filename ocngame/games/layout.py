"""Where the boxes of a picture of a game graph go.

Stages that only transform one state are drawn into the box of the stage before them. Boxes of one
module block stand together, from left to right by their depth within the block and in lanes where
branches run side by side; blocks follow each other in rows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import networkx as nx

from ocngame.games.stage import Stage, StageKind

if TYPE_CHECKING:
    from ocngame.games.graph import GameGraph

__all__ = ["Box", "Layout", "lay_out"]

_PER_ROW = 12


@dataclass(frozen=True, kw_only=True)
class Box:
    """What is drawn as one box.

    Attributes:
        stages: The stages in it, in forward order.
        column: Place from the left.
        row: Row from the top.
        lane: Lane within the row.
    """

    stages: tuple[Stage, ...]
    column: int
    row: int
    lane: int

    @property
    def acting(self) -> Stage | None:
        """The stage with a control, if there is one."""
        return next((stage for stage in self.stages if stage.controls), None)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Places of all boxes.

    Attributes:
        boxes: The boxes by the name of their first stage, in forward order.
        edges: Pairs of boxes by name.
        lanes: Number of lanes of each row.
        columns: Number of columns of the widest row.
        blocks: Module path of each drawn group with the names of its boxes.
    """

    boxes: dict[str, Box]
    edges: list[tuple[str, str]]
    lanes: list[int]
    columns: int
    blocks: list[tuple[str, list[str]]]


def lay_out(game: "GameGraph") -> Layout:
    """Place the stages of a game.

    Args:
        game: The game.

    Returns:
        The places.
    """
    graph = game.graph.subgraph([s.name for s in game.stages if s.kind is not StageKind.CONSTANT])
    owner = _boxes(graph, [game.stages_by_name[name] for name in graph])
    members: dict[str, list[Stage]] = {}
    for name, first in owner.items():
        members.setdefault(first, []).append(game.stages_by_name[name])
    edges = sorted({(owner[a], owner[b]) for a, b in graph.edges() if owner[a] != owner[b]})
    links = nx.DiGraph(edges)
    links.add_nodes_from(members)
    groups = [list(names) for _, names in groupby(members, lambda name: members[name][0].block)]
    boxes: dict[str, Box] = {}
    lanes: list[int] = [1]
    column = row = widest = 0
    for group in groups:
        for part in _parts(_places(group, links)):
            width = 1 + max(place[0] for place in part.values())
            if column and column + width > _PER_ROW:
                row, column = row + 1, 0
                lanes.append(1)
            for name, (depth, lane) in part.items():
                boxes[name] = Box(
                    stages=tuple(members[name]), column=column + depth, row=row, lane=lane
                )
                lanes[row] = max(lanes[row], lane + 1)
            column += width
            widest = max(widest, column)
    blocks = [(members[group[0]][0].block, group) for group in groups]
    return Layout(boxes=boxes, edges=edges, lanes=lanes, columns=widest, blocks=blocks)


def _boxes(graph: nx.MultiDiGraph, stages: Iterable[Stage]) -> dict[str, str]:
    """Name the first stage of the box that each stage is drawn in."""
    owner: dict[str, str] = {}
    fixed = (StageKind.INPUT, StageKind.OUTPUT)
    for stage in stages:
        before = list(graph.predecessors(stage.name))
        owner[stage.name] = stage.name
        if len(before) == 1 and not stage.controls and stage.kind not in fixed:
            source = graph.nodes[before[0]]["stage"]
            alone = graph.out_degree(before[0]) == 1
            if alone and source.kind is not StageKind.INPUT and source.block == stage.block:
                owner[stage.name] = owner[before[0]]
    return owner


def _places(group: list[str], links: nx.DiGraph) -> dict[str, tuple[int, int]]:
    """Give depth and lane of every box of a group."""
    inside, places = set(group), {}
    taken: set[tuple[int, int]] = set()
    continued: set[str] = set()
    for name in group:
        before = [p for p in links.predecessors(name) if p in inside]
        depth = 1 + max((places[p][0] for p in before), default=-1)
        free = [places[p][1] for p in before if len(before) > 1 or p not in continued]
        lane = min(free, default=0)
        while (depth, lane) in taken:
            lane += 1
        continued.update(before)
        places[name] = depth, lane
        taken.add((depth, lane))
    return places


def _parts(places: Mapping[str, tuple[int, int]]) -> Iterable[dict[str, tuple[int, int]]]:
    """Cut a group that is wider than a row."""
    count = 1 + max(depth for depth, _ in places.values()) // _PER_ROW
    for part in range(count):
        yield {
            name: (depth - part * _PER_ROW, lane)
            for name, (depth, lane) in places.items()
            if depth // _PER_ROW == part
        }
