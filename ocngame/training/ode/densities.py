"""Densities in the plane to draw from: two circles, two moons, eight Gaussians."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import make_circles, make_moons

__all__ = ["DENSITIES"]


def _circles(count: int, seed: int) -> NDArray[np.float64]:
    points, _ = make_circles(count, factor=0.5, noise=0.06, random_state=seed)
    return 2.5 * points


def _moons(count: int, seed: int) -> NDArray[np.float64]:
    points, _ = make_moons(count, noise=0.08, random_state=seed)
    return 2.0 * (points - np.array([0.5, 0.25]))


def _gaussians8(count: int, seed: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    angle = 2 * math.pi * generator.integers(8, size=count) / 8
    centres = 2.0 * np.stack([np.cos(angle), np.sin(angle)], 1)
    return centres + 0.25 * generator.standard_normal((count, 2))


DENSITIES: dict[str, Callable[[int, int], NDArray[np.float64]]] = {
    "circles": _circles,
    "moons": _moons,
    "gaussians8": _gaussians8,
}
"""Draw (count, seed) points, shape (count, 2), within about 4 of the origin."""
