"""Game graphs of networks: stages, players, live state, refusals, pictures."""

import matplotlib.image
import networkx as nx
import pytest
import torch
from torch import Tensor, nn

from ocngame.errors import InvalidInputError, UnsupportedModuleError
from ocngame.games import GameGraph, StageKind


class Skip(nn.Module):
    """A residual block between two linear layers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 5)
        self.inner = nn.Linear(5, 5)
        self.last = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.first(x))
        return self.last(h + self.inner(h).relu())


def test_sequential_stages_follow_the_forward_order():
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    game = GameGraph.from_module(model, torch.zeros(3, 4))
    kinds = [stage.kind for stage in game.stages]
    assert kinds == [
        StageKind.INPUT,
        StageKind.LINEAR,
        StageKind.ELEMENTWISE,
        StageKind.LINEAR,
        StageKind.OUTPUT,
    ]
    assert [stage.controls for stage in game.control_stages] == [
        ("0.weight", "0.bias"),
        ("2.weight", "2.bias"),
    ]
    assert [stage.shape for stage in game.stages] == [(4,), (5,), (5,), (2,), (2,)]
    assert nx.is_directed_acyclic_graph(game.graph)
    assert [player.name for player in game.players] == ["0", "2"]


def test_skip_is_carried_until_it_is_used():
    game = GameGraph.from_module(Skip(), torch.zeros(1, 4))
    names = {stage.operation: stage.name for stage in game.control_stages}
    assert game.live_state(names["first"]) == ("x",)
    assert game.live_state(names["inner"]) == ("tanh",)
    assert game.live_state("relu") == ("tanh", "inner")
    assert game.live_state(names["last"]) == ("add",)
    shapes = [data["shape"] for *_, data in game.graph.out_edges("tanh", data=True)]
    assert shapes == [(5,), (5,)]


def test_players_by_name_and_by_map():
    single = GameGraph.from_module(Skip(), players="single")
    assert [player.stages for player in single.players] == [("first", "inner", "last")]
    teams = {"first": "a", "inner": "b", "last": "a"}
    mapped = GameGraph.from_module(Skip(), players=teams)
    assert {p.name: p.stages for p in mapped.players} == {"a": ("first", "last"), "b": ("inner",)}
    with pytest.raises(InvalidInputError, match=r"players.*'last'"):
        GameGraph.from_module(Skip(), players={"first": "a", "inner": "b"})
    with pytest.raises(InvalidInputError, match=r"players.*'solo'"):
        GameGraph.from_module(Skip(), players="solo")


class Branching(nn.Module):
    """Control flow that depends on data."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.sum() > 0 else x


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (nn.Sequential(nn.Tanh()), "no stage with a control"),
        (Branching(), "cannot be traced"),
        (nn.Linear(4, 2), "a Linear layer alone; put it into nn.Sequential"),
    ],
)
def test_unsupported_models_are_named(model, named):
    with pytest.raises(UnsupportedModuleError, match=named):
        GameGraph.from_module(model)


@pytest.mark.parametrize(
    ("model", "example", "named"),
    [
        (Skip(), torch.zeros(2, 5), "example_input: .* can run on .*5.*4"),
        (Skip(), (torch.zeros(2, 4),) * 2, "example_input: .* can run on"),
        (nn.Sequential(nn.LazyLinear(3)), None, r"model: .* got '0\.weight' without a shape"),
        (torch.tanh, None, "model: expected a torch module, got builtin_function_or_method"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_what_no_network_can_be_read_from_is_named(model, example, named, capfd):
    with pytest.raises(InvalidInputError, match=named):
        GameGraph.from_module(model, example)
    assert not capfd.readouterr().err


def test_unknown_stage_is_named():
    with pytest.raises(InvalidInputError, match="'nowhere'"):
        GameGraph.from_module(Skip()).live_state("nowhere")


def test_tracing_leaves_the_mode_of_the_model(tmp_path):
    model = Skip().train()
    GameGraph.from_module(model, torch.zeros(1, 4))
    assert model.training
    assert model.first.training


def test_picture_shows_every_player_in_its_colour(tmp_path):
    path = tmp_path / "game.png"
    game = GameGraph.from_module(Skip(), torch.zeros(1, 4))
    game.draw(path)
    pixels = (matplotlib.image.imread(path)[..., :3] * 255).round().astype(int)
    seen = {tuple(colour) for colour in pixels.reshape(-1, 3)}
    assert {(0x44, 0x77, 0xAA), (0xEE, 0x66, 0x77), (0x22, 0x88, 0x33)} <= seen
    assert (0xBB, 0x55, 0x66) in seen, "the skip edge has a colour of its own"
