"""The surrogate's gradient is the policy gradient; clips bind where they should."""

import pytest
import torch

from ocngame.agents.networks import CategoricalHead
from ocngame.agents.policy_gradient.samples import Layout, Samples
from ocngame.agents.policy_gradient.surrogate import critic_loss, policy_loss

HEAD = CategoricalHead([3], several=False)


def _loss(outputs, choices, old, advantages, weight=None, entropy=0.0):
    return policy_loss(HEAD, outputs, choices, old, advantages, weight, clip=0.2, entropy=entropy)


def test_at_the_old_policy_the_gradient_is_the_policy_gradient():
    outputs = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    choices, advantages = torch.randint(3, (8,)), torch.randn(8, dtype=torch.float64)
    old = HEAD.score(outputs.detach(), choices)[0]
    told = _loss(outputs, choices, old, advantages, entropy=0.1)
    (found,) = torch.autograd.grad(told.loss, outputs)
    log, entropy = HEAD.score(outputs, choices)
    expected = -(advantages * log).mean() - 0.1 * entropy.mean()
    torch.testing.assert_close(found, torch.autograd.grad(expected, outputs)[0])
    assert float(told.divergence) == pytest.approx(0.0, abs=1e-12)


def test_beyond_the_clip_nothing_is_gained_and_losses_still_count():
    outputs = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    choices = torch.zeros(2, dtype=torch.long)
    old = HEAD.score(outputs.detach(), choices)[0] - 1.0
    told = _loss(outputs, choices, old, torch.tensor([1.0, -1.0], dtype=torch.float64))
    (gradient,) = torch.autograd.grad(told.loss, outputs)
    assert (gradient[0] == 0).all()
    assert (gradient[1] != 0).any()
    assert float(told.clipped) == 1.0
    assert float(told.divergence) == pytest.approx(torch.e - 2)


def test_actions_without_weight_do_not_count():
    outputs = torch.randn(6, 3, dtype=torch.float64)
    choices, advantages = torch.randint(3, (6,)), torch.randn(6, dtype=torch.float64)
    old = torch.randn(6, dtype=torch.float64) - 1
    weight = torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    keep = weight > 0
    found = _loss(outputs, choices, old, advantages, weight, 0.1)
    expected = _loss(outputs[keep], choices[keep], old[keep], advantages[keep], None, 0.1)
    torch.testing.assert_close(found.loss, expected.loss)
    torch.testing.assert_close(found.divergence, expected.divergence)


def test_a_value_is_not_paid_for_leaving_its_old_one():
    values = torch.tensor([2.0, 0.3], requires_grad=True)
    old, targets = torch.zeros(2), torch.tensor([3.0, 0.2])
    (gradient,) = torch.autograd.grad(critic_loss(values, old, targets, None, clip=0.5), values)
    assert float(gradient[0]) == 0.0
    assert float(gradient[1]) == pytest.approx(0.05)
    plain = critic_loss(values, old, targets, None, clip=0.0)
    assert float(plain.detach()) == pytest.approx(0.25 * (1.0 + 0.01))


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("sequences", [True, False])
def test_minibatches_hold_every_sample_once(rows, sequences):
    number = torch.arange(5 * 4 * 2).view(5, 4, 2)
    valid = number % 3 > 0
    layout = Layout(rows=rows and not sequences, sequences=sequences)
    whole = Samples(
        x=number[..., None].float(),
        critic_x=number[..., None].float(),
        masks=None,
        choices=number,
        old=number.double(),
        advantages=number.double(),
        values=number.double(),
        targets=number.double(),
        weight=None,
    ).laid_out(layout, valid)
    axis = 1 if sequences else 0
    found = []
    for batch, chosen in whole.minibatches(3, axis, torch.Generator().manual_seed(0)):
        assert chosen is not None
        assert batch.x.shape[:-1] == batch.old.shape
        assert torch.equal(batch.x[..., 0].double(), batch.old)
        counted = batch.choices if batch.weight is None else batch.choices[batch.weight > 0]
        found += counted.flatten().tolist()
    assert sorted(found) == number[valid].tolist()
