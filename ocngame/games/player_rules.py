"""Which player owns the control of a stage."""

from collections.abc import Mapping

import networkx as nx

from ocngame.errors import InvalidInputError
from ocngame.games.stage import Stage, StageKind

__all__ = ["PlayerRule", "branches"]

_RULES = ("stage", "branch", "block", "single")


class PlayerRule:
    """Names the owner of each control; stages that share a control have one owner."""

    def __init__(self, players: str | Mapping[str, str]):
        """Choose the rule.

        Args:
            players: One of "stage", "branch", "block" and "single", or a mapping from operations to
                players.

        Raises:
            InvalidInputError: if it is none of these.
        """
        if not isinstance(players, Mapping) and players not in _RULES:
            raise InvalidInputError(
                "players: expected 'stage', 'branch', 'block', 'single' or a mapping of stages to "
                f"players, got {players!r}"
            )
        self._players = players
        self._owners: dict[tuple[str, ...], str] = {}
        self._branches: dict[str, str] | None = None

    def __call__(self, stage: Stage, graph: nx.MultiDiGraph) -> str:
        """Give the owner.

        Args:
            stage: A stage with a control.
            graph: All stages and edges.

        Returns:
            The player's name.
        """
        if stage.controls not in self._owners:
            self._owners[stage.controls] = self._owner(stage, graph)
        return self._owners[stage.controls]

    def _owner(self, stage: Stage, graph: nx.MultiDiGraph) -> str:
        if isinstance(self._players, Mapping):
            if stage.operation not in self._players:
                raise InvalidInputError(
                    f"players: expected a player for stage {stage.operation!r}, got none in the "
                    "mapping"
                )
            return self._players[stage.operation]
        if self._players == "single":
            return "network"
        if self._players == "block":
            return stage.block or stage.operation
        if self._players == "branch":
            if self._branches is None:
                self._branches = branches(graph)
            return self._branches[stage.name]
        return stage.operation


def branches(graph: nx.MultiDiGraph) -> dict[str, str]:
    """Cut a game graph into branches: chains of stages between forks and joins of the state.

    Args:
        graph: Stages (attribute `stage`) and state edges, in forward order.

    Returns:
        The branch of every stage, named by the operation of its first stage with a control, or of
        its first stage if nobody acts on it.
    """
    stages = [graph.nodes[name]["stage"] for name in graph]
    states = graph.subgraph([s.name for s in stages if s.kind is not StageKind.CONSTANT])
    first: dict[str, str] = {}
    names: dict[str, str] = {}
    for stage in stages:
        first[stage.name] = stage.name
        if stage.kind is StageKind.CONSTANT:
            continue
        before = list(states.predecessors(stage.name))
        if len(before) == 1 and states.out_degree(before[0]) == 1:
            first[stage.name] = first[before[0]]
        if stage.controls:
            names.setdefault(first[stage.name], stage.operation)
    return {name: names.get(start, start) for name, start in first.items()}
