r"""Explicit Runge-Kutta methods by their Butcher tableaus.

A step of length h from (t, x) evaluates the field at the stages i = 1 .. s,

    k_i = F(t + c_i h, x + h sum_{j<i} a_ij k_j),        x_next = x + h sum_i b_i k_i

(Hairer, Norsett & Wanner, *Solving Ordinary Differential Equations I*, section II.1). The names and
coefficients are the classical ones: `rk4` is Kutta's of 1901, `rk4_38` his 3/8 rule.
"""

from dataclasses import dataclass

from ocngame._checks import one_of

__all__ = ["TABLEAUS", "Tableau", "tableau"]


@dataclass(frozen=True, kw_only=True)
class Tableau:
    """An explicit Runge-Kutta method.

    Attributes:
        name: Its name.
        order: Order of convergence.
        a: Rows of coefficients of earlier stages; row i has i entries.
        b: Weights of the stages.
        c: Times of the stages within the step.
    """

    name: str
    order: int
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]

    @property
    def evaluations(self) -> int:
        """Number of evaluations of the field in one step."""
        return len(self.b)


_ALL = (
    Tableau(name="euler", order=1, a=((),), b=(1.0,), c=(0.0,)),
    Tableau(name="midpoint", order=2, a=((), (0.5,)), b=(0.0, 1.0), c=(0.0, 0.5)),
    Tableau(name="heun", order=2, a=((), (1.0,)), b=(0.5, 0.5), c=(0.0, 1.0)),
    Tableau(
        name="rk4",
        order=4,
        a=((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)),
        b=(1 / 6, 1 / 3, 1 / 3, 1 / 6),
        c=(0.0, 0.5, 0.5, 1.0),
    ),
    Tableau(
        name="rk4_38",
        order=4,
        a=((), (1 / 3,), (-1 / 3, 1.0), (1.0, -1.0, 1.0)),
        b=(1 / 8, 3 / 8, 3 / 8, 1 / 8),
        c=(0.0, 1 / 3, 2 / 3, 1.0),
    ),
)
TABLEAUS = {method.name: method for method in _ALL}
"""The methods by name."""


def tableau(name: str) -> Tableau:
    """Give a method by its name.

    Args:
        name: One of `TABLEAUS`.

    Returns:
        The method.
    """
    one_of("method", name, TABLEAUS)
    return TABLEAUS[name]
