"""Series, paths and densities: what they are, and what is refused."""

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicHermiteSpline

from ocngame.errors import InvalidInputError
from ocngame.training.ode.densities import DENSITIES
from ocngame.training.ode.paths import fit_paths, path_derivative, path_start
from ocngame.training.ode.samples import load_samples
from ocngame.training.ode.series import (
    Series,
    drop_observations,
    japanese_vowels,
    oscillations,
)

ONE = np.ones(2)


def some_series(count=12, seed=0):
    generator = np.random.default_rng(seed)
    times = np.concatenate([[0.0], np.cumsum(generator.uniform(0.2, 2.0, count - 1))])
    return Series(times, generator.normal(size=(count, 2)))


def test_the_vowels_are_those_of_aeon():
    datasets = pytest.importorskip("aeon.datasets")
    own = japanese_vowels()
    for part, series, labels in (
        ("train", own.train, own.y_train),
        ("test", own.test, own.y_test),
    ):
        values, names = datasets.load_japanese_vowels(split=part)
        assert len(values) == len(series)
        assert np.array_equal(labels + 1, np.array(names, dtype=int))
        for theirs, ours in zip(values, series, strict=True):
            assert np.abs(theirs.T - ours.values).max() < 1e-12


def test_the_vowels_are_there_without_aeon():
    own = japanese_vowels()
    assert (len(own.train), len(own.test)) == (270, 370)
    assert np.array_equal(np.bincount(own.y_train), np.full(9, 30))
    assert {len(one.times) for one in own.train} == {7, *range(9, 27)}
    assert all(one.values.shape == (len(one.times), 12) for one in own.test)


def test_missing_aeon_is_one_sentence(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "aeon.datasets", None)
    with pytest.raises(InvalidInputError, match=r'pip install "ocngame\[series\]" brings it'):
        load_samples("basic_motions", seed=0, keep=0.7, knots=9)


def test_oscillations_follow_their_targets():
    quiet = oscillations(4, 0, noise=0.0)
    for one, (frequency, damping) in zip(quiet.train, quiet.y_train, strict=True):
        radius = np.hypot(*one.values.T)
        assert np.allclose(radius, np.exp(-damping * one.times))
        angle = np.unwrap(np.arctan2(one.values[:, 1], one.values[:, 0]))
        turned = angle[-1] - angle[0]
        assert turned == pytest.approx(8 * frequency * one.times[-1], abs=1e-9)


def test_observations_are_dropped_but_not_the_ends():
    one = some_series(200)
    kept = drop_observations(one, 0.5, np.random.default_rng(0))
    assert 70 < len(kept.times) < 130
    assert kept.times[0] == one.times[0]
    assert kept.times[-1] == one.times[-1]
    assert set(kept.times) <= set(one.times)
    with pytest.raises(InvalidInputError, match=r"keep: expected a number in \(0"):
        drop_observations(one, 0.0, np.random.default_rng(0))


def test_a_path_passes_its_observations_and_its_derivative_is_its_own():
    even = Series(np.arange(9.0), np.random.default_rng(1).normal(size=(9, 2)))
    path = fit_paths([even], 9, scale=8.0, mean=0 * ONE, spread=ONE)
    assert torch.allclose(path[0, :, 0, 1:].double(), torch.tensor(even.values), atol=1e-6)
    assert torch.allclose(path[0, :, 0, 0], torch.linspace(0, 1, 9))
    assert torch.equal(path_start(path), path[:, 0, 0])
    double = path.double()
    at = np.linspace(0, 1, 9)
    spline = CubicHermiteSpline(at, double[0, :, 0].numpy(), double[0, :, 1].numpy())
    for t in (0.0, 0.06, 0.125, 0.7, 0.999, 1.0):
        found = path_derivative(double, torch.tensor(t, dtype=torch.float64))
        assert np.allclose(found[0].numpy(), spline(t, 1), atol=1e-9)


def test_a_path_stays_within_its_observations():
    """Observations that stand close together do not throw the path far out."""
    times = np.array([0.0, 1.0, 1.001, 2.0])
    close = Series(times, np.array([[0.0, 0], [0, 0], [1, 1], [0, 0]]))
    path = fit_paths([close], 65, scale=1.0, mean=0 * ONE, spread=ONE)
    assert float(path[..., 0, 1:].min()) >= -1e-6
    assert float(path[..., 0, 1:].max()) <= 1 + 1e-6


@pytest.mark.parametrize(
    ("series", "got"),
    [
        (Series(np.zeros(1), np.zeros((1, 2))), "1 in series 0"),
        (Series(np.array([0.0, 1, 1]), np.zeros((3, 2))), "3 in series 0"),
    ],
)
def test_series_without_a_path_are_named(series, got):
    with pytest.raises(InvalidInputError, match=f"at increasing times, got {got}"):
        fit_paths([series], 5, scale=1.0, mean=0 * ONE, spread=ONE)


@pytest.mark.parametrize("name", DENSITIES)
def test_densities_are_repeatable_and_within_reach(name):
    draw = DENSITIES[name]
    points = draw(500, 3)
    assert points.shape == (500, 2)
    assert np.array_equal(points, draw(500, 3))
    assert not np.array_equal(points, draw(500, 4))
    assert 2 < np.abs(points).max() < 5
    assert np.abs(points.mean(0)).max() < 0.5


@pytest.mark.parametrize(
    ("problem", "shape", "outputs"),
    [
        ("japanese_vowels", (270, 9, 2, 13), 9),
        ("oscillations", (512, 9, 2, 3), 2),
        ("digits", (1437, 1, 8, 8), 10),
        ("moons", (2000, 2), 0),
    ],
)
def test_samples_have_their_shapes_and_follow_the_seed(problem, shape, outputs):
    one, same, other = (load_samples(problem, seed=s, keep=0.7, knots=9) for s in (0, 0, 1))
    assert one.x_train.shape == shape
    assert one.outputs == outputs
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert torch.isfinite(one.x_train).all()
