"""Heads against torch's distributions, and their Fisher matrices against second derivatives."""

import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from torch.distributions import Categorical, Normal, kl_divergence

from ocngame.agents.networks import CategoricalHead, GaussianHead, make_head
from ocngame.errors import InvalidInputError

HEADS = {
    "one": CategoricalHead([4], several=False),
    "several": CategoricalHead([3, 2], several=True),
    "gaussian": GaussianHead(torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 4.0]), "tanh"),
}


def _outputs(head, *, seed=0, rows=6):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, head.size + head.free, generator=generator, dtype=torch.float64)


def _oracle(name, outputs):
    if name == "gaussian":
        return [Normal(outputs[:, i], outputs[:, i + 2].exp()) for i in range(2)]
    parts = {"one": [4], "several": [3, 2]}[name]
    return [Categorical(logits=part) for part in outputs.split(parts, -1)]


@pytest.mark.parametrize("name", HEADS)
def test_scores_and_divergences_are_those_of_torch(name):
    head = HEADS[name]
    a, b = _outputs(head), _outputs(head, seed=1)
    choice = head.draw(a, torch.Generator().manual_seed(2))
    columns = [choice] if name == "one" else choice.unbind(-1)
    log, entropy = head.score(a, choice)
    parts, others = _oracle(name, a), _oracle(name, b)
    torch.testing.assert_close(log, sum(p.log_prob(c) for p, c in zip(parts, columns, strict=True)))
    torch.testing.assert_close(entropy, sum(p.entropy() for p in parts))
    expected = sum(kl_divergence(p, q) for p, q in zip(parts, others, strict=True))
    torch.testing.assert_close(head.divergence(a, b), expected)


@pytest.mark.parametrize("name", HEADS)
def test_fisher_is_the_second_derivative_of_the_divergence(name):
    head = HEADS[name]
    outputs = _outputs(head, rows=1)
    hessian = torch.autograd.functional.hessian(
        lambda after: head.divergence(outputs, after[None]).sum(), outputs[0]
    )
    columns = head.fisher().exact(outputs)[:, 0]
    torch.testing.assert_close(columns.mT @ columns, hessian)


def test_draws_have_the_probabilities_of_the_softmax():
    head = HEADS["one"]
    outputs = torch.tensor([0.0, 1.0, -1.0, 0.5])
    drawn = head.draw(outputs.expand(40_000, 4), torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn, minlength=4) / 40_000
    torch.testing.assert_close(shares, outputs.softmax(-1), atol=0.01, rtol=0)
    assert int(head.most_probable(outputs)) == 1


def test_forbidden_actions_have_no_probability_and_no_derivative():
    head = HEADS["one"]
    outputs = torch.randn(5, 4, requires_grad=True)
    mask = torch.tensor([True, False, True, False])
    allowed = head.allow(outputs, mask)
    drawn = head.draw(allowed.detach().expand(200, 5, 4), torch.Generator().manual_seed(0))
    assert not torch.isin(drawn, torch.tensor([1, 3])).any()
    log, entropy = head.score(allowed, torch.zeros(5, dtype=torch.long))
    expected = Categorical(logits=outputs[:, [0, 2]])
    torch.testing.assert_close(log, expected.log_prob(torch.zeros(5)))
    torch.testing.assert_close(entropy, expected.entropy())
    (log + entropy).sum().backward()
    assert outputs.grad is not None
    assert (outputs.grad[:, [1, 3]] == 0).all()
    assert (head.fisher().exact(allowed)[:, :, [1, 3]] == 0).all()
    nothing = head.allow(outputs.detach(), torch.zeros(4, dtype=torch.bool))
    assert torch.isfinite(head.score(nothing, torch.zeros(5, dtype=torch.long))[0]).all()


@pytest.mark.parametrize("squash", ["clip", "tanh"])
def test_continuous_actions_stay_in_their_box(squash):
    head = make_head(Box(-2.0, 6.0, (1,)), squash)
    choices = torch.tensor([[-50.0], [0.0], [50.0]])
    assert head.to_world(choices).flatten().tolist() == [-2.0, 2.0, 6.0]


def test_spaces_have_their_heads():
    assert isinstance(make_head(Discrete(3)), CategoricalHead)
    assert make_head(MultiDiscrete([3, 2])).size == 5
    with pytest.raises(InvalidInputError, match="space: expected Discrete"):
        make_head(MultiBinary(3))
    with pytest.raises(InvalidInputError, match="finite bounds"):
        make_head(Box(-float("inf"), 1.0, (1,)))
