"""Twins compute what their modules compute, and leave no trace."""

import pytest
import torch
from torch import Tensor, nn

from ocngame.errors import InvalidInputError
from ocngame.games import GameGraph
from ocngame.games.rollout import record_rollout
from ocngame.games.twins import installed
from ocngame.games.unrolling import find_twins


def normal(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def same(module: nn.Module, *args, **kwargs) -> None:
    module = module.double()
    wanted = module(*args, **kwargs)
    with installed(find_twins(module, None)):
        found = module(*args, **kwargs)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
def test_attention(batch_first, need_weights):
    torch.manual_seed(0)
    make = nn.MultiheadAttention
    x, y = normal(5, 5, 8), normal(5, 5, 8, seed=4)
    causal = torch.ones(5, 5, dtype=torch.bool).triu(1)
    padding = torch.zeros(5, 5, dtype=torch.bool)
    padding[:, 4] = True
    options = {"need_weights": need_weights}
    same(make(8, 2, batch_first=batch_first), x, x, x, **options)
    same(make(8, 2, batch_first=batch_first, bias=False), x, y, y, **options)
    same(make(8, 2, batch_first=batch_first), x, y, x, key_padding_mask=padding, **options)
    same(make(8, 2, batch_first=batch_first), x, x, x, attn_mask=causal, **options)
    mask = normal(10, 5, 5)
    options["average_attn_weights"] = False
    same(make(8, 2, batch_first=batch_first), x, x, x, attn_mask=mask, **options)


@pytest.mark.parametrize("norm_first", [True, False])
def test_transformer_encoder_and_decoder(norm_first):
    torch.manual_seed(0)
    x, memory = normal(3, 5, 8), normal(3, 4, 8, seed=4)
    causal = nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
    options = {"dropout": 0.0, "batch_first": True, "norm_first": norm_first}
    encoder = nn.TransformerEncoderLayer(8, 2, 6, **options)
    stack = nn.TransformerEncoder(encoder, 2, nn.LayerNorm(8), enable_nested_tensor=False)
    same(stack, x)
    same(stack, x, mask=causal, is_causal=True)
    decoder = nn.TransformerDecoderLayer(8, 2, 6, **options)
    same(nn.TransformerDecoder(decoder, 2), x, memory, tgt_mask=causal)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}])
@pytest.mark.parametrize("batch_first", [True, False])
def test_recurrent_layers(kind, options, batch_first):
    torch.manual_seed(0)
    module = kind(3, 4, batch_first=batch_first, **options)
    start = normal(4 if options else 1, 5, 4, seed=5)
    start = (start, start.tanh()) if kind is nn.LSTM else start
    x = normal(5, 6, 3) if batch_first else normal(6, 5, 3)
    same(module, x)
    same(module, x, start)


def test_relu_recurrence_and_transposed_convolutions():
    torch.manual_seed(0)
    same(nn.RNN(3, 4, nonlinearity="relu"), normal(6, 5, 3))
    same(nn.ConvTranspose2d(3, 2, 3, 2, 1), normal(2, 3, 4, 4), output_size=[8, 8])


def test_a_module_is_as_it_was_once_its_twin_is_gone():
    module = nn.Sequential(nn.GRU(3, 4), nn.MultiheadAttention(4, 2))
    before = [name for name, _ in module.named_modules()], list(module.state_dict())
    with installed(find_twins(module, None)):
        assert [name for name, _ in module.named_modules()] != before[0]
    assert ([name for name, _ in module.named_modules()], list(module.state_dict())) == before
    assert all("forward" not in vars(part) for part in module.modules())


def test_recurrent_stages_share_a_control():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRU(3, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.cell(x)[0][:, -1]

    model, x = Last(), torch.zeros(2, 5, 3)
    game = GameGraph.from_module(model, x)
    uses = [stage for stage in game.control_stages if stage.operation == "cell.hh_l0"]
    assert len(uses) == 5
    assert {stage.player for stage in uses} == {"cell.hh_l0"}
    assert {stage.controls for stage in uses} == {("cell.weight_hh_l0", "cell.bias_hh_l0")}
    rollout = record_rollout(game.program, game.control_stages, lambda: model(x), twins=game.twins)
    assert [control.stage for control in rollout.controls] == ["cell.ih_l0", "cell.hh_l0"]
    with pytest.raises(InvalidInputError, match=r"input of GRU: .* shape \(5, 3\)"):
        record_rollout(game.program, (), lambda: model(x[0]), twins=game.twins)


def test_blocks_keep_their_modules_whole():
    model = nn.Sequential(nn.Linear(3, 4), nn.TransformerEncoderLayer(4, 2), nn.Linear(4, 2))
    game = GameGraph.from_module(model, blocks=[nn.TransformerEncoderLayer])
    assert [stage.operation for stage in game.control_stages] == ["0", "2"]
    assert len(game.uncovered) == len(list(model[1].parameters()))
    whole = GameGraph.from_module(model, blocks=["1.self_attn"])
    assert all(name.startswith("1.self_attn.") for name in whole.uncovered)
    assert len(whole.uncovered) == 4
