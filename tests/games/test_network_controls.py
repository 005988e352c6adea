"""Controls of every kind of layer against dense derivatives of each sample alone."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from ocngame.curvature import DiagonalOperator
from ocngame.errors import InvalidInputError
from ocngame.games import GameGraph
from ocngame.games.rollout import Rollout, record_rollout


def rolled_out(model: nn.Module, x: Tensor) -> Rollout:
    game = GameGraph.from_module(model)
    others = [model.get_parameter(name) for name in game.uncovered]
    stages, twins = game.control_stages, game.twins
    return record_rollout(game.program, stages, lambda: model(x), others, twins)


def normal(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def tokens(*shape: int, height: int) -> Tensor:
    return torch.randint(0, height, shape, generator=torch.Generator().manual_seed(4))


def head(inner: nn.Module, *shape: int) -> nn.Sequential:
    """A network around one layer: something before it, a nonlinear head behind it."""
    torch.manual_seed(0)
    return nn.Sequential(inner, nn.Tanh(), nn.Flatten(), nn.LazyLinear(3), nn.Sigmoid())


IMAGE, SEQUENCE, FLAT = (4, 4, 6, 5), (4, 4, 9), (4, 6)
LAYERS = {
    "linear": (lambda: nn.Linear(6, 3), FLAT),
    "linear on positions": (lambda: nn.Linear(9, 3, bias=False), SEQUENCE),
    "conv1d": (lambda: nn.Conv1d(4, 3, 3), SEQUENCE),
    "conv1d reflect": (lambda: nn.Conv1d(4, 3, 3, padding=2, padding_mode="reflect"), SEQUENCE),
    "conv2d": (lambda: nn.Conv2d(4, 3, (3, 2), stride=(2, 1), padding=(1, 0)), IMAGE),
    "conv2d without offset": (lambda: nn.Conv2d(4, 2, 3, dilation=2, padding=2, bias=False), IMAGE),
    "conv2d same": (lambda: nn.Conv2d(4, 2, (4, 3), padding="same"), IMAGE),
    "conv2d groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), IMAGE),
    "conv2d depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4, bias=False), IMAGE),
    "conv3d": (lambda: nn.Conv3d(2, 3, 2, stride=2), (3, 2, 4, 3, 4)),
    "transposed conv1d": (lambda: nn.ConvTranspose1d(4, 3, 3, 2, output_padding=1), SEQUENCE),
    "transposed conv2d": (
        lambda: nn.ConvTranspose2d(4, 3, (3, 2), (2, 3), (1, 0), dilation=2, bias=False),
        IMAGE,
    ),
    "batch norm in evaluation": (lambda: nn.BatchNorm2d(4).eval(), IMAGE),
    "layer norm": (lambda: nn.LayerNorm(9), SEQUENCE),
    "layer norm without offset": (lambda: nn.LayerNorm((4, 9), bias=False), SEQUENCE),
    "rms norm": (lambda: nn.RMSNorm(6), FLAT),
    "group norm": (lambda: nn.GroupNorm(2, 4), IMAGE),
    "instance norm": (lambda: nn.InstanceNorm1d(4, affine=True), SEQUENCE),
    "parametric rectifier": (lambda: nn.PReLU(), IMAGE),
    "parametric rectifier by channel": (lambda: nn.PReLU(4), IMAGE),
}


def made(name: str) -> tuple[nn.Module, Tensor]:
    make, shape = LAYERS[name]
    torch.manual_seed(1)
    model = head(make()).double()
    x = normal(*shape)
    model(x)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter) + 0.3)
        for buffer in model.buffers():
            if buffer.is_floating_point():
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    return model, x


def dense_columns(model: nn.Module, x: Tensor, seeds: Tensor) -> dict[str, Tensor]:
    """Backpropagate every seed (R, B, C) of every sample alone: shape (R, B, *parameter)."""
    names = [name for name, _ in model.named_parameters()]
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    columns: dict[str, list[Tensor]] = {name: [] for name in names}
    for b in range(len(x)):

        def output(p: dict[str, Tensor], b: int = b) -> Tensor:
            return functional_call(model, p, (x[b : b + 1],))[0]

        jacobians = jacrev(output)(parameters)
        for name in names:
            columns[name].append(torch.tensordot(seeds[:, b], jacobians[name], dims=1))
    return {name: torch.stack(parts, 1) for name, parts in columns.items()}


@pytest.mark.filterwarnings("ignore:Using padding=.same")
@pytest.mark.parametrize("name", LAYERS)
def test_columns_are_the_derivatives_of_each_sample(name):
    model, x = made(name)
    rollout = rolled_out(model, x)
    seeds = normal(3, *rollout.output.shape, seed=5)
    oracle = dense_columns(copy.deepcopy(model), x, seeds)
    names = {id(p): name for name, p in model.named_parameters()}
    assert not rollout.others
    for control, z in zip(rollout.controls, rollout.backpropagate(seeds), strict=True):
        parts = [oracle[names[id(p)]] for p in control.parameters]
        R, B = z.count
        wanted = torch.stack(
            [control.join([p[r, b] for p in parts]) for r in range(R) for b in range(B)]
        ).unflatten(0, (R, B))
        torch.testing.assert_close(z.dense, wanted, rtol=1e-9, atol=1e-11)
        for part, parameter in zip(control.split(wanted[0, 0]), control.parameters, strict=True):
            assert part.shape == parameter.shape


@pytest.mark.filterwarnings("ignore:Using padding=.same")
@pytest.mark.parametrize("name", LAYERS)
def test_mean_of_gradient_columns_is_the_gradient(name):
    model, x = made(name)
    rollout = rolled_out(model, x)
    loss = rollout.output.square().sum(1).mean()
    gradient = torch.autograd.grad(loss, rollout.output, retain_graph=True)[0]
    loss.backward(retain_graph=True)
    derived = rollout.differentiate(gradient * len(x))
    ones = torch.full((1, len(x)), 1 / len(x), dtype=torch.float64)
    for control, z in zip(rollout.controls, derived.gradients, strict=True):
        wanted = control.join([p.grad for p in control.parameters])
        torch.testing.assert_close(z.combine(ones), wanted, rtol=1e-10, atol=1e-12)


def embedded() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(2)
    model = nn.Sequential(
        nn.Embedding(7, 3, padding_idx=2), nn.Tanh(), nn.Flatten(), nn.Linear(15, 4)
    )
    return model.double(), tokens(6, 5, height=7)


def all_columns():
    for name in ("linear", "conv2d", "conv2d groups", "layer norm"):
        model, x = made(name)
        rollout = rolled_out(model, x)
        yield rollout.backpropagate(normal(2, *rollout.output.shape, seed=6))[0]
    model, x = embedded()
    rollout = rolled_out(model, x)
    yield rollout.backpropagate(normal(2, 6, 4, seed=6))[0]


def test_operations_on_columns_are_those_of_their_matrices():
    for z in all_columns():
        dense = z.dense
        flat = dense.flatten(0, 1).flatten(1)
        R, B = z.count
        matrix, weights = normal(*dense.shape[2:]), normal(R, B)
        diagonal = normal(*dense.shape[2:]).square() + 0.5
        close = torch.testing.assert_close
        close(z.inner(matrix).flatten(), flat @ matrix.flatten())
        close(z.combine(weights), (flat.T @ weights.flatten()).view_as(matrix))
        close(z.squares(), dense.square().sum((0, 1)))
        other = z.rows(1).joined(z).scaled(0.5)
        close(other.dense, torch.cat([dense[1:], dense]) * 0.5)
        close(z.gram(other), flat @ other.dense.flatten(0, 1).flatten(1).T)
        close(z.sample_gram(other), torch.einsum("rboi,qboi->brq", dense, other.dense))
        close(z.divided(diagonal).dense, dense / diagonal)
        gram = DiagonalOperator(diagonal).inverse_gram(z)
        close(gram, flat @ (flat / diagonal.flatten()).T)
        per_sample = DiagonalOperator(diagonal).inverse_gram(z, per_sample=True)
        close(per_sample, torch.einsum("rboi,qboi->brq", dense, dense / diagonal))


def test_an_embedding_never_moves_its_padding():
    model, x = embedded()
    rollout = rolled_out(model, x)
    loss = rollout.output.square().sum(1).mean()
    gradient = torch.autograd.grad(loss, rollout.output, retain_graph=True)[0]
    loss.backward(retain_graph=True)
    z = rollout.differentiate(gradient * 6).gradients[0]
    total = z.combine(torch.full((1, 6), 1 / 6, dtype=torch.float64))
    torch.testing.assert_close(total, model[0].weight.grad)
    assert (x == 2).any()
    assert not total[2].any()


def test_a_large_table_has_no_columns_of_its_size():
    height, width = 2_000_000, 4
    model = nn.Sequential(nn.Embedding(height, width), nn.Flatten(), nn.Linear(12, 2))
    model[0].weight.requires_grad_()
    rollout = rolled_out(model, tokens(8, 3, height=height))
    z = rollout.backpropagate(torch.randn(5, 8, 2))[0]
    assert z.like.numel() == 5 * 8 * 3 * width
    assert z.gram(z).shape == (40, 40)


class Directly(nn.Module):
    """A parameter used directly, beside a layer."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.randn(4, dtype=torch.float64))
        self.layer = nn.Linear(4, 2, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.tanh(x + self.shift))


def test_parameters_without_a_stage_are_listed_and_have_gradients():
    model, x = Directly(), normal(5, 4)
    assert GameGraph.from_module(model).uncovered == ("shift",)
    rollout = rolled_out(model, x)
    loss = rollout.output.square().sum(1).mean()
    gradient = torch.autograd.grad(loss, rollout.output, retain_graph=True)[0]
    loss.backward(retain_graph=True)
    derived = rollout.differentiate(gradient * 5)
    torch.testing.assert_close(derived.others[0], model.shift.grad)


def test_layers_that_are_not_what_torch_defines_are_listed():
    class Doubled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    normed = nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))
    model = nn.Sequential(nn.Linear(4, 3), Doubled(3, 3), normed)
    game = GameGraph.from_module(model, blocks=[Doubled])
    assert [stage.operation for stage in game.control_stages] == ["0"]
    assert len(game.uncovered) == 5
    tied = nn.Sequential(nn.Embedding(5, 3), nn.Tanh(), nn.Linear(3, 4), nn.Linear(4, 3))
    tied.append(nn.Linear(3, 5))
    tied[4].weight = tied[0].weight
    assert GameGraph.from_module(tied).uncovered == ("0.weight", "4.bias")


def test_a_state_without_samples_first_is_refused_by_name():
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x.transpose(0, 1)).transpose(0, 1)

    with pytest.raises(InvalidInputError, match=r"'layer', got shape \(5, 4, 2\)"):
        rolled_out(Turned(), torch.zeros(4, 5, 3))


def test_a_layer_that_overwrites_its_input_changes_nothing():
    torch.manual_seed(3)
    plain = nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Conv1d(3, 2, 3))
    plain = nn.Sequential(plain, nn.ReLU(), nn.Flatten(), nn.Linear(10, 2)).double()
    overwriting = copy.deepcopy(plain)
    for layer in overwriting.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = True
    x, seeds = normal(4, 2, 9), normal(2, 4, 2)
    found = [rolled_out(model, x).backpropagate(seeds) for model in (plain, overwriting)]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one.dense, other.dense, rtol=0, atol=0)
