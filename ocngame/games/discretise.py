"""From continuous time to stages: the map that is rolled out is the one that is linearised."""

from collections.abc import Callable

import torch
from torch import Tensor

from ocngame._checks import integer, positive

__all__ = ["at_stage", "rk4"]


def rk4(
    field: Callable[[Tensor, Tensor, Tensor], Tensor], step: float, *, substeps: int = 1
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Discretise `dx/ds = field(x, u, s)` by the classical Runge-Kutta method, control held.

    Args:
        field: Time derivative of the state, from vectors (n,), (m,) and a scalar time.
        step: Length of a stage in time.
        substeps: Runge-Kutta steps within a stage.

    Returns:
        The map `dynamics(x, u, t)` of a `NonlinearGame`; stage t starts at time `t * step`.

    Examples:
        >>> import math, torch
        >>> growth = rk4(lambda x, u, s: x, 0.1)
        >>> start = torch.ones(1, dtype=torch.float64)
        >>> end = growth(start, torch.zeros(0), torch.tensor(0))
        >>> round(end.item(), 6), round(math.exp(0.1), 6)
        (1.105171, 1.105171)
    """
    positive("step", step)
    integer("substeps", substeps, low=1)
    h = step / substeps

    def dynamics(x: Tensor, u: Tensor, t: Tensor) -> Tensor:
        for j in range(substeps):
            s = t.to(x.dtype) * step + j * h
            a = field(x, u, s)
            b = field(x + 0.5 * h * a, u, s + 0.5 * h)
            c = field(x + 0.5 * h * b, u, s + 0.5 * h)
            d = field(x + h * c, u, s + h)
            x = x + (h / 6) * (a + 2 * (b + c) + d)
        return x

    return dynamics


def at_stage(series: Tensor, t: Tensor) -> Tensor:
    """Pick the entry of stage t from data that change over time, under `torch.vmap` too.

    Args:
        series: One entry per stage, shape (T, ...).
        t: Stage, a scalar tensor of integers.

    Returns:
        `series[t]`, shape (...).
    """
    return torch.index_select(series, 0, t.reshape(1)).squeeze(0)
