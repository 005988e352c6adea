"""A GAN on images: its shapes, its repeatability, its refusals."""

import pytest
import torch

from ocngame.errors import InvalidInputError
from ocngame.games.differentiable import image_gan


def test_batches_samples_and_measures():
    data = torch.rand(20, 3, 5, generator=torch.Generator().manual_seed(0))
    seen = []

    def judge(images):
        seen.append(images.shape)
        return {"mean": float(images.mean())}

    ready = image_gan(data, judge=judge, judged=7, shown=6, width=8, latent=4)
    x, z = ready.batch(9, torch.Generator().manual_seed(1))
    assert (x.shape, z.shape) == ((9, 15), (9, 4))
    assert all(any(torch.equal(row, image.reshape(-1)) for image in data) for row in x)
    assert ready.samples().shape == (6, 3, 5)
    assert 0 < ready.measures["mean"]() < 1
    assert set(seen) == {(7, 3, 5)}
    costs = ready.game.evaluate(ready.game.values(), x, z)
    again = image_gan(data, width=8, latent=4)
    assert torch.equal(ready.game.control, again.game.control)
    assert all(bool(torch.isfinite(cost)) for cost in costs)


def test_bad_input_is_one_sentence():
    good = torch.rand(4, 2, 2)
    for images, said in ((good[0], "images"), (good * 2, r"numbers in \[0, 1\]")):
        with pytest.raises(InvalidInputError, match=said):
            image_gan(images)
    for wrong in ({"width": 0}, {"latent": 0}, {"penalty": -1.0}, {"judged": 0}, {"shown": 0}):
        with pytest.raises(InvalidInputError, match=next(iter(wrong))):
            image_gan(good, **wrong)
