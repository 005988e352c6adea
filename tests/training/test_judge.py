"""The judge of images: what it tells apart, and its distance against the definition."""

from dataclasses import replace

import pytest
import torch
from scipy.linalg import sqrtm

from ocngame.training.datasets import load_data
from ocngame.training.judge import Judge, frechet_distance


@pytest.fixture(scope="module")
def digits():
    data = load_data("digits", scaling="none", test_fraction=0.2, seed=0)
    return replace(data, x_train=data.x_train / 16, x_test=data.x_test / 16)


def test_the_distance_is_the_one_of_the_definition():
    noise = torch.Generator().manual_seed(0)
    one = torch.randn(50, 4, generator=noise, dtype=torch.float64)
    other = torch.randn(80, 4, generator=noise, dtype=torch.float64) * 2 + 1
    first, second = torch.cov(one.mT).numpy(), torch.cov(other.mT).numpy()
    shift = float((one.mean(0) - other.mean(0)).square().sum())
    expected = shift + (first + second - 2 * sqrtm(first @ second).real).trace()
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)


def test_it_tells_data_from_one_class_and_from_noise(digits):
    judge = Judge(digits)
    assert judge.accuracy > 0.9
    real = judge(digits.x_train[:600].reshape(-1, 8, 8))
    ones = judge(digits.x_train[digits.y_train == 1].reshape(-1, 8, 8))
    noise = judge(torch.rand(600, 8, 8, generator=torch.Generator().manual_seed(0)))
    assert (real["classes"], ones["classes"]) == (10, 1)
    assert real["confidence"] > 0.9
    assert real["distance"] < 5 * max(judge.floor, 0.1)
    assert min(ones["distance"], noise["distance"]) > 5 * real["distance"]
    again = Judge(digits)
    assert again(digits.x_test.reshape(-1, 8, 8)) == judge(digits.x_test.reshape(-1, 8, 8))
