"""Bodies against one network per agent, torch's gated unit, and sequences cut by hand."""

import pytest
import torch
from torch import nn

from ocngame.agents.networks import AgentInputs, FeedForward, Gated


def _body(kind, agents, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return kind([5, 8, 3], agents=agents, activation="tanh", gain=1.0, generator=generator)


def test_separate_networks_are_one_network_per_agent():
    body = _body(FeedForward, 3)
    x = torch.randn(4, 7, 3, 5)
    out = body(x)
    first, last = body.hidden[0], body.last
    for a in range(3):
        hidden = torch.tanh(x[..., a, :] @ first.weight[a].mT + first.bias[a])
        torch.testing.assert_close(out[..., a, :], hidden @ last.weight[a].mT + last.bias[a])
    assert not torch.allclose(first.weight[0], first.weight[1])


def test_weights_start_orthogonal():
    weight = _body(FeedForward, None).hidden[0].weight
    torch.testing.assert_close(weight.mT @ weight, (5 / 3) ** 2 * torch.eye(5))


def test_the_gated_unit_is_that_of_torch():
    body = _body(Gated, None)
    with torch.no_grad():
        body.input.bias.normal_()
        body.state.bias.normal_()
    cell = nn.GRUCell(8, 8)
    for name, layer in (("ih", body.input), ("hh", body.state)):
        getattr(cell, f"weight_{name}").data.copy_(layer.weight)
        getattr(cell, f"bias_{name}").data.copy_(layer.bias)
    x, memory = torch.randn(6, 1, 5), torch.randn(6, 1, 8)
    expected = cell(body.hidden(x)[:, 0], memory[:, 0])
    torch.testing.assert_close(body.advance(x, memory)[1][:, 0], expected)


@pytest.mark.parametrize("agents", [None, 2])
def test_sequences_begin_anew_where_episodes_end(agents):
    body = _body(Gated, agents)
    x, memory = torch.randn(6, 3, 2, 5), torch.randn(3, 2, 8)
    over = torch.zeros(6, 3, dtype=torch.bool)
    over[1, 0] = over[3, 2] = over[5] = True
    outputs, memories = body.sequence(x, memory, over)
    for b in range(3):
        own = memory[b : b + 1]
        for t in range(6):
            out, own = body.advance(x[t, b : b + 1], own)
            torch.testing.assert_close(outputs[t, b], out[0])
            torch.testing.assert_close(memories[t, b], own[0])
            if over[t, b]:
                own = torch.zeros_like(own)
    # Nothing of the first episode is felt in the second.
    changed = body.sequence(torch.cat([x[:1] + 1, x[1:]]), memory, over)[0]
    torch.testing.assert_close(changed[2:, 0], outputs[2:, 0])
    assert not torch.allclose(changed[2:, 1], outputs[2:, 1])


def test_inputs_tell_who_the_agent_is_and_are_normalised_by_what_was_learned():
    inputs = AgentInputs([2], agents=3, identity=True, normalise=True)
    seen = 5 + 3 * torch.randn(50, 20, 3, 2)
    valid = torch.ones(50, 20, 3, dtype=torch.bool)
    inputs.learn(valid, seen)
    x = inputs(seen)
    assert x.shape == (50, 20, 3, 5)
    assert torch.equal(x[0, 0, :, 2:], torch.eye(3))
    torch.testing.assert_close(x[..., :2].flatten(0, 2).mean(0), torch.zeros(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(x[..., :2].flatten(0, 2).std(0), torch.ones(2), atol=1e-2, rtol=0)
    alone = AgentInputs([2], agents=1, identity=True, normalise=False)
    assert alone(seen[:, :, :1]).shape[-1] == 2
