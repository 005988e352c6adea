"""Time series to classify or to regress on, observed at irregular times.

* Japanese vowels come with ocngame; BasicMotions with the package aeon.
* Damped oscillations are drawn: `x(s) = exp(-d s) (cos, sin)(w s + p)` with w uniform in [4, 12], d
  in [0, 2], p in [0, 2 pi], seen with noise at times in [0, 1]; the target is `(w / 8, d)`.

Irregular sampling keeps every observation with a given probability; the first and the last, which
tell where a series begins and ends, always stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from ocngame._checks import in_range
from ocngame.errors import InvalidInputError

__all__ = [
    "Series",
    "SeriesSet",
    "basic_motions",
    "drop_observations",
    "japanese_vowels",
    "oscillations",
]


@dataclass(frozen=True)
class Series:
    """One series.

    Attributes:
        times: Times of the observations, increasing, shape (L,).
        values: Observations, shape (L, channels).
    """

    times: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class SeriesSet:
    """Series with their targets.

    Attributes:
        train: Series to train on.
        test: Series to test on.
        y_train: Class numbers (samples,) or numbers to regress on (samples, outputs).
        y_test: The same for the test series.
    """

    train: Sequence[Series]
    test: Sequence[Series]
    y_train: NDArray
    y_test: NDArray


def japanese_vowels() -> SeriesSet:
    """Read the Japanese vowels: 12 channels, 7 to 29 observations, nine speakers.

    Returns:
        270 training and 370 test series; times are those of the frames, one unit apart.
    """
    place = resources.files("ocngame.training.ode").joinpath("japanese_vowels.npz")
    parts = []
    with place.open("rb") as file, np.load(file) as content:
        for part in ("train", "test"):
            ends = np.cumsum(content[f"{part}_lengths"].astype(np.int64))
            pieces = np.split(content[f"{part}_millionths"] / 1e6, ends[:-1])
            series = [Series(np.arange(len(v), dtype=np.float64), v) for v in pieces]
            parts.append((series, content[f"{part}_labels"].astype(np.int64)))
    (train, y_train), (test, y_test) = parts
    return SeriesSet(train, test, y_train, y_test)


def basic_motions() -> SeriesSet:
    """Read BasicMotions: six channels of 100 observations, four activities.

    Returns:
        40 training and 40 test series.

    Raises:
        InvalidInputError: if the package aeon, which brings them, is not installed.
    """
    try:
        from aeon.datasets import load_basic_motions
    except ImportError as error:
        raise InvalidInputError(
            "problem: basic_motions comes with the package aeon, which is not installed; "
            'pip install "ocngame[series]" brings it, and japanese_vowels works without'
        ) from error
    parts = []
    for part in ("train", "test"):
        values, names = load_basic_motions(split=part)
        series = [Series(np.arange(v.shape[1], dtype=np.float64), v.T.copy()) for v in values]
        parts.append((series, np.unique(names, return_inverse=True)[1].astype(np.int64)))
    (train, y_train), (test, y_test) = parts
    return SeriesSet(train, test, y_train, y_test)


def oscillations(
    count: int, seed: int, *, observations: int = 40, noise: float = 0.02
) -> SeriesSet:
    """Draw damped oscillations.

    Args:
        count: Training series, and test series.
        seed: Seed.
        observations: Observations of a series, at times uniform in [0, 1].
        noise: Standard deviation of the noise of an observation.

    Returns:
        The series; targets have shape (count, 2).
    """
    generator = np.random.default_rng(seed)
    series, targets = [], []
    for _ in range(2 * count):
        frequency = generator.uniform(4.0, 12.0)
        damping = generator.uniform(0.0, 2.0)
        phase = generator.uniform(0.0, 2 * np.pi)
        inner = np.sort(generator.uniform(0.0, 1.0, observations - 2))
        times = np.concatenate([[0.0], inner, [1.0]])
        angle = frequency * times + phase
        values = np.exp(-damping * times)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
        values = values + noise * generator.standard_normal(values.shape)
        keep = np.concatenate([[True], np.diff(times) > 1e-6])
        series.append(Series(times[keep], values[keep]))
        targets.append((frequency / 8, damping))
    y = np.array(targets)
    return SeriesSet(series[:count], series[count:], y[:count], y[count:])


def drop_observations(series: Series, keep: float, generator: np.random.Generator) -> Series:
    """Keep every observation between the first and the last with a probability.

    Args:
        series: The series.
        keep: The probability.
        generator: Source of the choice.

    Returns:
        A series at irregular times.
    """
    in_range("keep", keep, low=0.0, high=1.0, low_open=True)
    chosen = generator.random(len(series.times)) < keep
    chosen[[0, -1]] = True
    return Series(series.times[chosen], series.values[chosen])
