"""The samples of a problem, as tensors."""

import hashlib
from dataclasses import dataclass, fields

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from ocngame.training.ode.densities import DENSITIES
from ocngame.training.ode.paths import fit_paths
from ocngame.training.ode.series import (
    SeriesSet,
    basic_motions,
    drop_observations,
    japanese_vowels,
    oscillations,
)

__all__ = ["Samples", "load_samples"]

_DRAWN = 2000
_OSCILLATIONS = 512


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Training and test samples.

    Attributes:
        x_train: Inputs of the network; dimension 0 counts samples.
        y_train: Class numbers, numbers to regress on, or for densities zeros that nobody reads.
        x_test: Test inputs.
        y_test: Test targets.
        outputs: Number of classes or of numbers to regress on; 0 for densities.
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    outputs: int

    def to(self, device: torch.device) -> "Samples":
        """Give the samples on a device.

        Args:
            device: The device.

        Returns:
            The same samples there.
        """
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "outputs"}
        return Samples(**{n: v.to(device) for n, v in tensors.items()}, outputs=self.outputs)

    @property
    def fingerprint(self) -> str:
        """A short hash of all samples."""
        digest = hashlib.sha256()
        for tensor in (self.x_train, self.y_train, self.x_test, self.y_test):
            digest.update(tensor.cpu().numpy().tobytes())
        return digest.hexdigest()[:16]


def load_samples(problem: str, *, seed: int, keep: float, knots: int) -> Samples:
    """Load or draw the samples of a problem.

    Args:
        problem: Its name.
        seed: Seed of the split, of what is drawn, and of the observations that are kept.
        keep: Part of the observations of a series that are kept.
        knots: Even knots of the path through a series.

    Returns:
        The samples.
    """
    if problem in DENSITIES:
        draw = DENSITIES[problem]
        x = [torch.tensor(draw(_DRAWN, 2 * seed + k), dtype=torch.float32) for k in range(2)]
        nothing = torch.zeros(_DRAWN)
        return Samples(x_train=x[0], y_train=nothing, x_test=x[1], y_test=nothing, outputs=0)
    if problem == "digits":
        return _digits(seed)
    if problem == "oscillations":
        return _paths(oscillations(_OSCILLATIONS, seed), seed, keep, knots)
    series = {"japanese_vowels": japanese_vowels, "basic_motions": basic_motions}[problem]
    return _paths(series(), seed, keep, knots)


def _digits(seed: int) -> Samples:
    x, y = load_digits(return_X_y=True)
    x = x.reshape(-1, 1, 8, 8) / 16
    parts = train_test_split(x, y, test_size=0.2, random_state=seed, stratify=y)
    x_train, x_test = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
    y_train, y_test = (torch.tensor(part, dtype=torch.int64) for part in parts[2:])
    return Samples(x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test, outputs=10)


def _paths(series: SeriesSet, seed: int, keep: float, knots: int) -> Samples:
    generator = np.random.default_rng(seed)
    observed = np.concatenate([one.values for one in series.train])
    scale = max(one.times[-1] for one in series.train)
    mean, spread = observed.mean(0), observed.std(0)
    x = [
        fit_paths(
            [drop_observations(one, keep, generator) for one in part],
            knots,
            scale=scale,
            mean=mean,
            spread=spread,
        )
        for part in (series.train, series.test)
    ]
    if series.y_train.ndim == 1:
        y = [torch.tensor(part) for part in (series.y_train, series.y_test)]
        outputs = int(series.y_train.max()) + 1
    else:
        y = [torch.tensor(p, dtype=torch.float32) for p in (series.y_train, series.y_test)]
        outputs = series.y_train.shape[1]
    return Samples(x_train=x[0], y_train=y[0], x_test=x[1], y_test=y[1], outputs=outputs)
