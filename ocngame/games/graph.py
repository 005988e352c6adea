"""The game graph: stages, players and state edges of a network on a networkx multigraph."""

from collections.abc import Mapping
from functools import cached_property
from os import PathLike

import networkx as nx
from torch import Tensor, fx, nn

from ocngame.errors import InvalidInputError, UnsupportedModuleError
from ocngame.games.player import Player
from ocngame.games.stage import Stage, StageKind
from ocngame.games.trace import classify, node_shape, trace_module

__all__ = ["GameGraph"]


class GameGraph:
    """A multi-player dynamic game whose stages are the operations of a network.

    Nodes of `graph` are stage names with the attribute `stage`; every edge carries one state from
    the stage that makes it to a stage that uses it (attribute `shape`). A stage that has a control
    belongs to one player.

    Attributes:
        graph: The networkx multigraph.
        players: The players in order of their first move.
        program: The traced operations, which share parameters with the module.
    """

    def __init__(
        self, graph: nx.MultiDiGraph, players: tuple[Player, ...], program: fx.GraphModule
    ):
        """Store the parts; use `from_module` to build them.

        Args:
            graph: Stages and state edges.
            players: The players.
            program: The traced operations.
        """
        self.graph = graph
        self.players = players
        self.program = program

    @classmethod
    def from_module(
        cls,
        module: nn.Module,
        example_input: Tensor | None = None,
        players: str | Mapping[str, str] = "stage",
    ) -> "GameGraph":
        """Build the game graph of a network.

        Covers `nn.Sequential` and general modules made of Linear layers, elementwise activations
        and residual additions.

        Args:
            module: The network.
            example_input: An example batch, shape (batch, ...); gives the edges their shapes.
            players: "stage" (one player per stage with a control), "single" (one player for all)
                or a mapping from every such stage's operation (its module path) to a player's name.

        Returns:
            The graph.

        Raises:
            InvalidInputError: if `players` is none of these, or the mapping forgets a stage.
            UnsupportedModuleError: if a layer is not covered or no layer has a control.
        """
        program = trace_module(module, example_input)
        modules: dict[str, nn.Module] = {**dict(program.named_modules())}
        graph = nx.MultiDiGraph()
        moves: dict[str, list[str]] = {}
        for index, node in enumerate(program.graph.nodes):
            kind = classify(node, modules)
            operation = str(node.target) if node.op == "call_module" else node.name
            controls = _control_names(operation, modules) if kind is StageKind.LINEAR else ()
            player = _owner(players, operation) if controls else None
            stage = Stage(
                name=node.name,
                index=index,
                kind=kind,
                operation=operation,
                controls=controls,
                player=player,
                shape=node_shape(node),
            )
            if player is not None:
                moves.setdefault(player, []).append(stage.name)
            graph.add_node(stage.name, stage=stage)
            for source in node.all_input_nodes:
                graph.add_edge(source.name, stage.name, shape=node_shape(source))
        if not moves:
            raise UnsupportedModuleError(
                f"model: {type(module).__name__} has no stage with a control; expected at "
                "least one Linear layer"
            )
        roster = tuple(Player(name=name, stages=tuple(stages)) for name, stages in moves.items())
        return cls(graph, roster, program)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """All stages in forward order."""
        return tuple(self.graph.nodes[name]["stage"] for name in self.graph.nodes)

    @property
    def control_stages(self) -> tuple[Stage, ...]:
        """The stages at which a player acts, in forward order."""
        return tuple(stage for stage in self.stages if stage.controls)

    def live_state(self, stage: str) -> tuple[str, ...]:
        """Name the stages whose outputs are alive when `stage` acts.

        An output is alive from the stage that makes it to the last stage that uses it; together the
        live outputs are the state of the game at this stage, skip connections included.

        Args:
            stage: Name of a stage.

        Returns:
            Names of the stages that made the live state, in forward order.

        Raises:
            InvalidInputError: if there is no stage of this name.
        """
        if stage not in self.graph:
            raise InvalidInputError(f"stage: expected a stage of the graph, got {stage!r}")
        index = self.stages_by_name[stage].index
        live = []
        for made in self.stages[:index]:
            users = self.graph.successors(made.name)
            if any(self.stages_by_name[user].index >= index for user in users):
                live.append(made.name)
        return tuple(live)

    @cached_property
    def stages_by_name(self) -> dict[str, Stage]:
        """The stages by name."""
        return {name: data["stage"] for name, data in self.graph.nodes(data=True)}

    def draw(self, path: str | PathLike[str]) -> None:
        """Draw the game to a picture: stages left to right, players coloured, skips as arcs.

        Args:
            path: File to write; the ending chooses the format.
        """
        from ocngame.games.draw import draw_game

        draw_game(self, path)


def _control_names(path: str, modules: dict[str, nn.Module]) -> tuple[str, ...]:
    return tuple(f"{path}.{name}" for name, _ in modules[path].named_parameters(recurse=False))


def _owner(players: str | Mapping[str, str], operation: str) -> str:
    if isinstance(players, Mapping):
        if operation not in players:
            raise InvalidInputError(
                f"players: expected a player for stage {operation!r}, got none in the mapping"
            )
        return players[operation]
    if players == "stage":
        return operation
    if players == "single":
        return "network"
    raise InvalidInputError(
        f"players: expected 'stage', 'single' or a mapping of stages to players, got {players!r}"
    )
