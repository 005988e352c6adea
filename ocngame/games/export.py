"""Game graphs as files that other programs read, and back into networkx."""

import json
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import networkx as nx

from ocngame._checks import one_of
from ocngame.errors import InvalidInputError

if TYPE_CHECKING:
    from ocngame.games.graph import GameGraph

__all__ = ["plain_graph", "read_graph", "write_graph"]

_FORMATS = (".graphml", ".json")


def plain_graph(game: "GameGraph") -> nx.MultiDiGraph:
    """Give a game graph with plain attributes only.

    Args:
        game: The game.

    Returns:
        A graph whose stages have `time`, `kind`, `operation`, `block`, `player` (empty: nobody),
        `controls` (names, separated by spaces) and `shape` (sizes, separated by x; empty:
        unknown), and whose edges have `shape`.
    """
    plain = nx.MultiDiGraph(
        players=" ".join(player.name for player in game.players),
        uncovered=" ".join(game.uncovered),
    )
    for stage in game.stages:
        plain.add_node(
            stage.name,
            time=stage.index,
            kind=str(stage.kind),
            operation=stage.operation,
            block=stage.block,
            player=stage.player or "",
            controls=" ".join(stage.controls),
            shape=_shape(stage.shape),
        )
    for source, target, data in game.graph.edges(data=True):
        plain.add_edge(source, target, shape=_shape(data["shape"]))
    return plain


def write_graph(game: "GameGraph", path: str | PathLike[str]) -> None:
    """Write a game graph as GraphML or as node-link JSON.

    Args:
        game: The game.
        path: File to write; its ending, .graphml or .json, chooses the format.

    Raises:
        UnknownNameError: if the ending is another one.
    """
    path = Path(path)
    one_of("ending of the file", path.suffix, _FORMATS)
    plain = plain_graph(game)
    if path.suffix == ".graphml":
        nx.write_graphml(plain, path)
    else:
        path.write_text(json.dumps(nx.node_link_data(plain, edges="edges"), indent=1) + "\n")


def read_graph(path: str | PathLike[str]) -> nx.MultiDiGraph:
    """Read a graph that `write_graph` wrote.

    Args:
        path: The file.

    Returns:
        The graph, equal to `plain_graph` of the game.

    Raises:
        InvalidInputError: if the file does not hold such a graph.
    """
    path = Path(path)
    one_of("ending of the file", path.suffix, _FORMATS)
    try:
        if path.suffix == ".graphml":
            graph = nx.read_graphml(path, force_multigraph=True)
            for defaults in ("node_default", "edge_default"):
                graph.graph.pop(defaults, None)
        else:
            graph = nx.node_link_graph(json.loads(path.read_text()), edges="edges")
    except (OSError, ValueError, KeyError, TypeError, SyntaxError, nx.NetworkXException) as error:
        raise InvalidInputError(f"path: expected a game graph in {path}, got {error}") from error
    return graph


def _shape(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else "x".join(str(size) for size in shape)
