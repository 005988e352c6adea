"""The graph as a product: queries by networkx, players, layout, files."""

import json

import networkx as nx
import pytest
import torch
from networks import Inception, Recurrent, ResNet18, UNet, VisionTransformer

from ocngame.errors import InvalidInputError, UnknownNameError
from ocngame.games import GameGraph, StageKind, read_graph
from ocngame.games.export import plain_graph
from ocngame.games.layout import lay_out


@pytest.fixture(scope="module")
def resnet() -> GameGraph:
    return GameGraph.from_module(ResNet18(4), torch.zeros(2, 3, 32, 32), players="branch")


def test_networkx_answers_questions(resnet):
    graph = resnet.graph
    assert nx.is_directed_acyclic_graph(graph)
    order = {name: i for i, name in enumerate(nx.lexicographical_topological_sort(graph))}
    assert len(order) == len(resnet.stages)
    longest = nx.dag_longest_path(nx.DiGraph(graph))
    assert sum(bool(resnet.stages_by_name[name].controls) for name in longest) == 35
    shortest = nx.shortest_path(graph, "x", "output")
    acting = [n for n in shortest if resnet.stages_by_name[n].kind is StageKind.CONVOLUTION]
    assert len(acting) == 4, "the stem and three shortcuts: identity shortcuts have no stage"
    cut = nx.articulation_points(nx.Graph(graph))
    assert {"maxpool", "layer2_1_relu_1", "avgpool"} <= set(cut)


def test_live_state_is_what_a_cut_of_the_graph_crosses(resnet):
    for stage in resnet.stages[1:]:
        crossing = {
            source
            for source, target in resnet.graph.edges()
            if resnet.stages_by_name[source].index
            < stage.index
            <= resnet.stages_by_name[target].index
        }
        assert set(resnet.live_state(stage.name)) == crossing
    sizes = [len(resnet.live_state(stage.name)) for stage in resnet.control_stages]
    assert max(sizes) == 2


def test_players_of_branches_and_blocks(resnet):
    players = {player.name: player.stages for player in resnet.players}
    assert len(players) == 13
    assert players["layer2.0.downsample.0"] == ("layer2_0_downsample_0", "layer2_0_downsample_1")
    assert len(players["layer2.0.conv1"]) == 4
    inception = GameGraph.from_module(Inception(), torch.zeros(1, 3, 8, 8), players="branch")
    assert [player.name for player in inception.players] == [
        "one",
        "three.0",
        "five.0",
        "pool.1",
        "fc",
    ]
    blocks = GameGraph.from_module(ResNet18(4), players="block")
    assert {p.name for p in blocks.players} >= {"conv1", "layer1.0", "layer4.1", "fc"}
    assert len(next(p for p in blocks.players if p.name == "layer2.0").stages) == 6


def test_a_shared_control_has_one_player():
    game = GameGraph.from_module(Recurrent(), torch.zeros(2, 5, dtype=torch.long), players="branch")
    owners = {s.player for s in game.control_stages if s.operation == "cell.hh_l0"}
    assert len(owners) == 1


@pytest.mark.parametrize("ending", [".graphml", ".json"])
def test_files_read_back_to_the_same_graph(resnet, tmp_path, ending):
    path = tmp_path / f"game{ending}"
    resnet.write(path)
    found, wanted = read_graph(path), plain_graph(resnet)
    assert nx.utils.graphs_equal(found, wanted)
    assert found.nodes["layer1_0_conv1"] == {
        "time": 5,
        "kind": "convolution",
        "operation": "layer1.0.conv1",
        "block": "layer1.0",
        "player": "layer1.0.conv1",
        "controls": "layer1.0.conv1.weight",
        "shape": "4x8x8",
    }
    assert found.edges["maxpool", "layer1_0_conv1", 0] == {"shape": "4x8x8"}


def test_bad_files_are_named(resnet, tmp_path):
    with pytest.raises(UnknownNameError, match=r"\.txt"):
        resnet.write(tmp_path / "game.txt")
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps({"nodes": 3}))
    with pytest.raises(InvalidInputError, match=r"broken\.json"):
        read_graph(broken)
    with pytest.raises(InvalidInputError, match=r"none\.graphml"):
        read_graph(tmp_path / "none.graphml")


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: ResNet18(4), (2, 3, 32, 32)),
        (Inception, (2, 3, 8, 8)),
        (VisionTransformer, (2, 3, 8, 8)),
        (UNet, (2, 3, 8, 8)),
    ],
)
def test_every_stage_is_drawn_once_and_no_boxes_overlap(make, shape, tmp_path):
    game = GameGraph.from_module(make(), torch.zeros(shape))
    layout = lay_out(game)
    drawn = [stage.name for box in layout.boxes.values() for stage in box.stages]
    states = [s.name for s in game.stages if s.kind is not StageKind.CONSTANT]
    assert sorted(drawn) == sorted(states)
    places = [(box.row, box.column, box.lane) for box in layout.boxes.values()]
    assert len(set(places)) == len(places)
    assert max(column for _, column, _ in places) < 12
    for box in layout.boxes.values():
        assert sum(bool(stage.controls) for stage in box.stages) <= 1
    for source, target in layout.edges:
        start, end = layout.boxes[source], layout.boxes[target]
        assert (start.row, start.column) < (end.row, end.column)
    game.draw(tmp_path / "game.svg")
    assert (tmp_path / "game.svg").stat().st_size > 1000
