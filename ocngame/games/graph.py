"""The game graph: stages, players and state edges of a network on a networkx multigraph."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, reduce
from os import PathLike

import networkx as nx
from torch import Tensor, fx, nn
from torch.nn.parameter import is_lazy

from ocngame.errors import InvalidInputError, UnsupportedModuleError
from ocngame.games.continuous.block import NeuralODE
from ocngame.games.continuous.traced_solvers import traced_solvers
from ocngame.games.coverage import control_kind
from ocngame.games.export import write_graph
from ocngame.games.player import Player
from ocngame.games.player_rules import PlayerRule
from ocngame.games.stage import Stage, StageKind
from ocngame.games.trace import classify, node_block, node_shape, trace_module
from ocngame.games.twins import Twin
from ocngame.games.unrolling import find_twins

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
        uncovered: Names of the parameters that are no control of a stage.
        twins: Modules that are spelled out in layers, such as attention.
        fields: Vector fields that a solver evaluates, and blocks that are solvers.
        foreign: Whether a pass may call solvers of other packages.
    """

    def __init__(
        self,
        graph: nx.MultiDiGraph,
        players: tuple[Player, ...],
        program: fx.GraphModule,
        uncovered: tuple[str, ...] = (),
        twins: Sequence[Twin] = (),
        fields: Sequence[nn.Module] = (),
        foreign: bool = True,
    ):
        """Store the parts; use `from_module` to build them.

        Args:
            graph: Stages and state edges.
            players: The players.
            program: The traced operations.
            uncovered: Names of the parameters that are no control of a stage.
            twins: Modules that are spelled out in layers.
            fields: Vector fields that a solver evaluates, and blocks that are solvers.
            foreign: Whether a pass may call solvers of other packages.
        """
        self.graph = graph
        self.players = players
        self.program = program
        self.uncovered = uncovered
        self.twins = twins
        self.fields = fields
        self.foreign = foreign

    @classmethod
    def from_module(
        cls,
        module: nn.Module,
        example_input: Tensor | tuple[Tensor, ...] | None = None,
        players: str | Mapping[str, str] = "stage",
        blocks: Collection[type[nn.Module] | str] = (),
    ) -> "GameGraph":
        """Build the game graph of a network.

        Linear layers, convolutions, normalisations, embeddings and parametric rectifiers are stages
        with a control; every other operation is a fixed function of the states. Parameters that are
        no control of a stage are listed in `uncovered`.

        Args:
            module: The network.
            example_input: An example batch, shape (batch, ...), or a tuple of the network's inputs;
                gives the edges their shapes and recurrent layers their time steps.
            players: "stage" (one player per stage with a control), "branch" (one per chain of
                stages between forks and joins of the state), "block" (one per module that is more
                than a list of layers), "single" (one for all) or a mapping from every such stage's
                operation (its module path) to a player's name. A control that several stages share
                belongs to the player of the first.
            blocks: Classes or module paths of submodules that are one stage each, for parts that
                cannot be traced; their parameters are no control.

        Returns:
            The graph.

        Raises:
            InvalidInputError: if the module is none or has uninitialised parameters, cannot run on
                the example, `players` is none of these, or the mapping forgets a stage.
            UnsupportedModuleError: if the network cannot be traced or no layer has a control.
        """
        _require_ready(module)
        twins = find_twins(module, example_input, blocks)
        with traced_solvers() as solved:
            program = trace_module(module, example_input, blocks, twins)
        solvers = [twin.module for twin in twins if isinstance(twin.module, NeuralODE)]
        fields = [*solvers, *(field for field in solved if isinstance(field, nn.Module))]
        foreign = bool(solved or blocks)  # what is not traced may call any
        modules: dict[str, nn.Module] = {**dict(program.named_modules())}
        controls_of = _controls(module, program, modules)
        graph = nx.MultiDiGraph()
        moves: dict[str, list[str]] = {}
        owner_of = PlayerRule(players)
        for index, node in enumerate(program.graph.nodes):
            stage = Stage(
                name=node.name,
                index=index,
                kind=classify(node, modules),
                operation=str(node.target) if node.op == "call_module" else node.name,
                controls=controls_of.get(node.name, ()),
                shape=node_shape(node),
                block=node_block(node),
            )
            graph.add_node(stage.name, stage=stage)
            for source in node.all_input_nodes:
                graph.add_edge(source.name, stage.name, shape=node_shape(source))
        for stage in [graph.nodes[name]["stage"] for name in graph]:
            player = owner_of(stage, graph) if stage.controls else None
            if player is not None:
                moves.setdefault(player, []).append(stage.name)
                graph.nodes[stage.name]["stage"] = replace(stage, player=player)
        if not moves:
            raise UnsupportedModuleError(
                f"model: {type(module).__name__} has no stage with a control; expected at "
                "least one linear layer, convolution, normalisation or embedding"
            )
        roster = tuple(Player(name=name, stages=tuple(stages)) for name, stages in moves.items())
        covered = {name for names in controls_of.values() for name in names}
        uncovered = _uncovered(module, covered)
        return cls(graph, roster, program, uncovered, twins, fields, foreign)

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
            if made.kind is StageKind.CONSTANT:
                continue
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

        A stage that only transforms one state is drawn into the box of the stage before it.

        Args:
            path: File to write; the ending chooses the format.
        """
        from ocngame.games.draw import draw_game

        draw_game(self, path)

    def write(self, path: str | PathLike[str]) -> None:
        """Write the graph to a file that other programs read.

        Args:
            path: File to write; .graphml for GraphML, .json for networkx's node-link JSON, which
                `ocngame.games.read_graph` reads back.
        """
        write_graph(self, path)


def _controls(
    module: nn.Module, program: fx.GraphModule, modules: dict[str, nn.Module]
) -> dict[str, tuple[str, ...]]:
    """Name the controls of every stage that has some."""
    # A parameter that several layers share is no control: it has no columns of one layer alone.
    layers = {
        node.name: str(node.target)
        for node in program.graph.nodes
        if node.op == "call_module" and control_kind(modules[str(node.target)]) is not None
    }
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    owners: dict[int, set[int]] = {}
    for layer in modules.values():
        for parameter in layer.parameters(recurse=False):
            owners.setdefault(id(parameter), set()).add(id(layer))
    attributes = {
        id(_attribute(program, n)) for n in program.graph.nodes if n.op == "get_attr" and n.users
    }
    result = {}
    for name, path in layers.items():
        own = dict(modules[path].named_parameters(recurse=False))
        alone = all(len(owners[id(p)]) == 1 and id(p) not in attributes for p in own.values())
        if alone:
            result[name] = tuple(names[id(p)] for p in own.values())
    return result


def _require_ready(module: object) -> None:
    if not isinstance(module, nn.Module):
        raise InvalidInputError(f"model: expected a torch module, got {type(module).__name__}")
    lazy = [n for n, p in module.named_parameters() if is_lazy(p)]
    if lazy:
        raise InvalidInputError(
            f"model: expected initialised parameters, got {lazy[0]!r} without a shape; run the "
            "network once on an input"
        )


def _attribute(program: fx.GraphModule, node: fx.Node) -> object:
    return reduce(getattr, str(node.target).split("."), program)


def _uncovered(module: nn.Module, covered: set[str]) -> tuple[str, ...]:
    """Name the parameters that are no control."""
    controls = {id(p) for n, p in module.named_parameters(remove_duplicate=False) if n in covered}
    return tuple(
        name for name, parameter in module.named_parameters() if id(parameter) not in controls
    )
