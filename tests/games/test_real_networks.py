"""Networks as people build them: the game rolls out to the model, gradients are its gradients."""

from functools import partial

import networkx as nx
import pytest
import torch
from networks import Inception, Recurrent, ResNet18, Tied, UNet, VisionTransformer, perceptron
from torch import Tensor, nn

from ocngame.games import GameGraph, StageKind
from ocngame.games.live_rollout import LiveRollout
from ocngame.games.rollout import Rollout, record_rollout
from ocngame.solvers.ocnopt import OCNOpt

NETWORKS = {
    "perceptron": perceptron,
    "resnet": partial(ResNet18, 4, 3),
    "inception": Inception,
    "transformer": VisionTransformer,
    "gru": Recurrent,
    "lstm": partial(Recurrent, nn.LSTM, num_layers=2),
    "bidirectional": partial(Recurrent, nn.GRU, num_layers=2, bidirectional=True, bias=False),
    "rnn": partial(Recurrent, nn.RNN),
    "unet": UNet,
    "tied": Tied,
}
LISTED = {"transformer": ("token", "position")}


def made(name: str, samples: int = 4) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(1)
    model = NETWORKS[name]().double()
    generator = torch.Generator().manual_seed(2)
    if isinstance(model, Recurrent):
        return model, torch.randint(0, 9, (samples, 6), generator=generator)
    size = 32 if name == "resnet" else 8
    return model, torch.randn(samples, 3, size, size, dtype=torch.float64, generator=generator)


def rolled_out(model: nn.Module, game: GameGraph, x: Tensor) -> Rollout:
    others = [model.get_parameter(name) for name in game.uncovered]
    return record_rollout(game.program, game.control_stages, lambda: model(x), others, game.twins)


@pytest.mark.parametrize("name", NETWORKS)
def test_program_rolls_out_to_the_model(name):
    model, x = made(name)
    game = GameGraph.from_module(model, x)
    for mode in (True, False):
        model.train(mode)
        game.program.train(mode)
        torch.testing.assert_close(game.program(x), model(x), rtol=1e-10, atol=1e-12)
    assert nx.is_directed_acyclic_graph(game.graph)
    assert game.uncovered == LISTED.get(name, ())
    listed = {name for stage in game.control_stages for name in stage.controls}
    assert listed.union(game.uncovered) == {name for name, _ in model.named_parameters()}
    shapes = {s.name: s.shape for s in game.stages if s.kind is StageKind.LINEAR}
    assert None not in shapes.values()


@pytest.mark.parametrize("name", NETWORKS)
def test_first_order_terms_are_the_gradients(name):
    model, x = made(name)
    rollout = rolled_out(model, GameGraph.from_module(model), x)
    y = torch.arange(len(x)) % 3
    loss = nn.functional.cross_entropy(rollout.output, y)
    gradient = torch.autograd.grad(loss, rollout.output, retain_graph=True)[0]
    derived = rollout.differentiate(gradient * len(x))
    nn.functional.cross_entropy(model(x), y).backward()
    ones = torch.full((1, len(x)), 1 / len(x), dtype=torch.float64)
    moved = []
    for control, z in zip(rollout.controls, derived.gradients, strict=True):
        parts = control.split(z.combine(ones))
        for part, parameter in zip(parts, control.parameters, strict=True):
            torch.testing.assert_close(part, parameter.grad, rtol=1e-9, atol=1e-12)
            moved.append(parameter)
    for parameter, found in zip(rollout.others, derived.others, strict=True):
        torch.testing.assert_close(found, parameter.grad, rtol=1e-9, atol=1e-12)
        moved.append(parameter)
    assert {id(p) for p in moved} == {id(p) for p in model.parameters()}


@pytest.mark.parametrize("name", ["inception", "transformer", "gru", "lstm", "unet", "tied"])
def test_gauss_newton_blocks_are_those_of_dense_jacobians(name):
    model, x = made(name, samples=2)
    game = GameGraph.from_module(model)
    rollout = rolled_out(model, game, x)
    seeds = torch.eye(3, dtype=torch.float64)[:, None].expand(3, 2, 3)
    columns = rollout.backpropagate(seeds)
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    names = {id(p): name for name, p in model.named_parameters()}
    jacobians = _jacobians(model, parameters, x)
    for control, z in zip(rollout.controls, columns, strict=True):
        parts = [jacobians[names[id(p)]] for p in control.parameters]
        for r in range(3):
            for b in range(2):
                wanted = control.join([part[b, r] for part in parts])
                torch.testing.assert_close(z.dense[r, b], wanted, rtol=1e-8, atol=1e-11)


def _jacobians(model: nn.Module, parameters: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
    found: dict[str, list[Tensor]] = {name: [] for name in parameters}
    leaves = [model.get_parameter(name) for name in parameters]
    for b in range(len(x)):
        output = model(x[b : b + 1])[0]
        rows = [torch.autograd.grad(value, leaves, retain_graph=True) for value in output]
        for i, name in enumerate(parameters):
            found[name].append(torch.stack([row[i] for row in rows]))
    return {name: torch.stack(parts) for name, parts in found.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_falls_on_every_network(name):
    model, x = made(name, samples=24)
    y = torch.arange(24) % 3
    opt = OCNOpt(model)
    infos = [opt.step(x, y) for _ in range(10)]
    assert all(info.accepted for info in infos)
    assert infos[-1].loss < infos[0].loss


def test_live_state_of_a_residual_block_carries_the_shortcut():
    model, x = made("resnet")
    game = GameGraph.from_module(model, x)
    stages = {stage.operation: stage.name for stage in game.control_stages}
    assert game.live_state(stages["layer1.0.conv1"]) == ("maxpool",)
    assert game.live_state(stages["layer1.0.conv2"]) == ("maxpool", "layer1_0_relu")
    assert game.live_state(stages["layer2.0.conv2"]) == (
        "layer2_0_downsample_1",
        "layer2_0_relu",
    )
    assert game.live_state(stages["fc"]) == ("flatten",)


@pytest.mark.parametrize("name", ["perceptron", "resnet", "inception", "transformer", "unet"])
def test_second_pass_measures_what_the_columns_predict(name):
    """Before every stage the live state's deviation is, to first order, that of the columns."""
    model, x = made(name)
    game = GameGraph.from_module(model, x)
    live, rollout = LiveRollout(game, x), rolled_out(model, game, x)
    torch.testing.assert_close(live.output, rollout.output)
    seeds = torch.randn(2, *rollout.output.shape, dtype=torch.float64)
    live.attach(seeds)
    columns = rollout.backpropagate(seeds)
    predicted = torch.zeros(2, len(x), dtype=torch.float64)
    for t, z in enumerate(columns):
        move = 1e-8 * torch.randn(z.dense.shape[2:], dtype=torch.float64)
        predicted = predicted + z.inner(move)
        measured = live.advance(t, move)
        if measured is not None:
            error = (measured - predicted).abs().max() / predicted.abs().max()
            assert error < 1e-3
    assert measured is None


class TwoInputs(nn.Module):
    """Several inputs, parts of a state in a loop."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(3, 4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = self.first(x) + self.second(y)
        return sum(part.square() for part in h.chunk(2, -1)) + sum(h.split([2, 2], dim=1))


def test_several_inputs_and_parts_of_a_state():
    torch.manual_seed(0)
    model, x, y = TwoInputs(), torch.randn(5, 4), torch.randn(5, 3)
    game = GameGraph.from_module(model, (x, y))
    torch.testing.assert_close(game.program(x, y), model(x, y))
    assert [s.shape for s in game.stages if s.kind is StageKind.INPUT] == [(4,), (3,)]
    opt = OCNOpt(model)
    losses = [
        opt.step(lambda: nn.functional.cross_entropy(model(x, y), torch.arange(5) % 2)).loss
        for _ in range(4)
    ]
    assert losses[-1] < losses[0]
