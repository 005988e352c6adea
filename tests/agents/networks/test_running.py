"""Running moments against those of all samples, and a last layer that stands for the same."""

import torch

from ocngame.agents.networks import RunningMoments


def test_moments_of_batches_are_those_of_all_samples():
    generator = torch.Generator().manual_seed(0)
    samples = 3 + 2 * torch.randn(100, 4, generator=generator, dtype=torch.float64)
    moments = RunningMoments(4)
    for part in samples.split([1, 30, 0, 69]):
        moments.update(part)
    torch.testing.assert_close(moments.mean, samples.mean(0))
    torch.testing.assert_close(moments.variance, samples.var(0, correction=0))
    torch.testing.assert_close(moments.restore(moments.normalise(samples)), samples)
    assert float(moments.normalise(samples + 1e6, 10.0).max()) == 10.0


def test_new_samples_count_more_with_a_short_memory():
    moments = RunningMoments(1, most=10.0)
    moments.update(torch.zeros(1000, 1))
    moments.update(torch.ones(10, 1))
    torch.testing.assert_close(moments.mean, torch.tensor([0.5], dtype=torch.float64))


def test_what_a_layer_stands_for_does_not_change_with_the_moments():
    moments = RunningMoments(2)
    layer = torch.nn.Linear(3, 2, dtype=torch.float64)
    x = torch.randn(5, 3, dtype=torch.float64)
    before = moments.restore(layer(x))
    samples = -7 + 11 * torch.randn(40, 2, dtype=torch.float64)
    moments.update_under(samples, [layer])
    torch.testing.assert_close(moments.restore(layer(x)), before)
    torch.testing.assert_close(moments.mean, samples.mean(0))
