r"""Fixed-step integration of `x' = F(t, x)`, the stages of which are stages of the game.

The state is a tensor or a tuple of tensors. Every operation is differentiable, in the times too:
the derivative of the result with respect to an end of an interval is that of the discrete map.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from ocngame.games.continuous.tableau import Tableau

__all__ = ["State", "VectorField", "integrate_interval", "runge_kutta_step"]

State = Tensor | tuple[Tensor, ...]
VectorField = Callable[[Tensor, Any], Any]


def integrate_interval(
    field: VectorField, x: Any, start: Tensor, end: Tensor, steps: int, method: Tableau
) -> Any:
    """Integrate over one interval in equal steps.

    Args:
        field: F(t, x), with t a scalar tensor.
        x: State at the start.
        start: Start, a scalar.
        end: End, a scalar; before the start for an integration backward in time.
        steps: Number of steps.
        method: The method.

    Returns:
        The state at the end.
    """
    h = (end - start) / steps
    for n in range(steps):
        x = runge_kutta_step(field, x, start + n * h, h, method)
    return x


def runge_kutta_step(field: VectorField, x: Any, t: Tensor, h: Tensor, method: Tableau) -> Any:
    """Make one step.

    Args:
        field: F(t, x).
        x: State.
        t: Time.
        h: Length of the step.
        method: The method.

    Returns:
        The next state.
    """
    slopes: list[Any] = []
    for row, c in zip(method.a, method.c, strict=True):
        at = t + c * h if c else t
        slopes.append(field(at, _moved(x, slopes, row, h)))
    return _moved(x, slopes, method.b, h)


def _moved(x: Any, slopes: Sequence[Any], weights: Sequence[float], h: Tensor) -> Any:
    """Give `x + h sum_i weights_i slopes_i`."""
    if isinstance(x, tuple):
        return tuple(
            _moved(part, [slope[i] for slope in slopes], weights, h) for i, part in enumerate(x)
        )
    used = [(w, k) for w, k in zip(weights, slopes, strict=True) if w]
    if not used:
        return x
    total: Any = None
    for weight, slope in used:
        term = slope if weight == 1.0 else weight * slope
        total = term if total is None else total + term
    return x + h * total
