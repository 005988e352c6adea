r"""Paths through irregular observations, as the control of a differential equation.

A series `(s_i, v_i)` becomes a cubic path through its observations, with the time as one more
channel (Kidger et al., arXiv 2005.08926, section 3.2): `X(t) = (s / scale, v)`, with t in [0, 1]
along each series whatever its length. Slopes are those of scipy's monotone interpolant (PCHIP): a
natural spline through noisy observations that stand close together swings far out of the data
between them.

The paths of a batch have different knots. So that a batch is one tensor, each is sampled at K even
knots and given slopes there by the same rule; between these it is the cubic Hermite interpolant of
values and slopes: for `u` in [0, 1] from one knot to the next, at distance `1/(K-1)`,

    X'(t) = 6 (u^2 - u) (X_k - X_{k+1}) (K-1) + (3 u^2 - 4 u + 1) X'_k + (3 u^2 - 2 u) X'_{k+1}.

A path has shape (K, 2, channels): values, then derivatives with respect to t.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from ocngame._checks import integer
from ocngame.errors import InvalidInputError
from ocngame.training.ode.series import Series

__all__ = ["fit_paths", "path_derivative", "path_start"]


def fit_paths(
    series: Sequence[Series], knots: int, *, scale: float, mean: np.ndarray, spread: np.ndarray
) -> Tensor:
    """Fit the paths of several series.

    Args:
        series: The series, with two or more observations each.
        knots: K.
        scale: Unit of time of the time channel.
        mean: Numbers to subtract from the channels, shape (channels,).
        spread: Numbers to divide the channels by, shape (channels,).

    Returns:
        Paths of shape (samples, K, 2, 1 + channels), float32.

    Raises:
        InvalidInputError: if a series has one observation, or times that do not increase.
    """
    integer("knots", knots, low=2)
    at = np.linspace(0.0, 1.0, knots)
    paths = []
    for number, one in enumerate(series):
        if len(one.times) < 2 or not (np.diff(one.times) > 0).all():
            raise InvalidInputError(
                "series: expected two or more observations at increasing times, got "
                f"{len(one.times)} in series {number}"
            )
        length = one.times[-1] - one.times[0]
        t = (one.times - one.times[0]) / length
        channels = np.concatenate([one.times[:, None] / scale, (one.values - mean) / spread], 1)
        values = PchipInterpolator(t, channels)(at)
        slopes = PchipInterpolator(at, values)(at, 1)
        paths.append(np.stack([values, slopes], 1))
    return torch.tensor(np.stack(paths), dtype=torch.float32)


def path_start(path: Tensor) -> Tensor:
    """Give the value of paths at t = 0.

    Args:
        path: Paths (B, K, 2, C).

    Returns:
        Values (B, C).
    """
    return path[:, 0, 0]


def path_derivative(path: Tensor, t: Tensor) -> Tensor:
    """Give the derivative of paths at a time.

    Args:
        path: Paths (B, K, 2, C).
        t: The time, a scalar; outside [0, 1] the first or the last piece goes on.

    Returns:
        Derivatives with respect to t, shape (B, C).
    """
    pieces = path.shape[1] - 1
    place = t * pieces
    k = torch.clamp(place.detach().floor(), 0, pieces - 1).long()
    u = place - k
    left, right = path[:, k], path[:, k + 1]
    slope = 6 * (u * u - u) * pieces
    return (
        slope * (left[:, 0] - right[:, 0])
        + (3 * u * u - 4 * u + 1) * left[:, 1]
        + (3 * u * u - 2 * u) * right[:, 1]
    )
