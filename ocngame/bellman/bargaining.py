r"""The bargaining solution of a stage game: whose costs count how much in a joint move.

N players agree on one joint move `du`. Where they do not agree nobody moves, so player i's gain is
`s_i(du) = Q^i(0) - Q^i(du)`. The Nash solution (Nash, 1950, Econometrica 18, 155) is the only one
that is Pareto optimal, symmetric, independent of irrelevant alternatives, and the same whatever
units each player counts its cost in:

    maximise sum_i log s_i(du)      over moves with every s_i > 0

**Linear costs** `Q^i = g^i . du` in the ball `du' M du <= r^2`. A derivative of zero gives
`du` along `-M^{-1} sum_i w_i g^i` with `w_i` along `1 / s_i`, that is (Navon et al., 2202.01017,
claim 3.1, where M is the identity)

    K w = 1 / w,    K_ij = g^i' M^{-1} g^j

which are the stationary points of the convex function `w' K w / 2 - sum_i log w_i`. It is
self-concordant, so Newton's method with steps of `1 / (1 + decrement)` arrives from anywhere
(Boyd & Vandenberghe, Convex Optimization, section 9.6.4). There is no solution where some
`w >= 0` has `K w = 0`: no move helps everybody, the point is Pareto stationary.

**Quadratic costs** `Q^i = g^i . du + du' H^i du / 2` with `H^i` positive semidefinite: the same
condition reads

    sum_i w_i (g^i + H^i du) = 0,    w_i = 1 / s_i(du)

the cooperative solution with the bargainers' own weights (for linear-quadratic games Engwerda, LQ
Dynamic Optimization and Differential Games, 2005, theorem 6.10). Other threats than to stay are
moved to: expand the costs about the joint control that follows where nobody agrees.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ocngame._tensor_checks import finite, shaped, symmetric
from ocngame.errors import ConvergenceError, InvalidInputError

__all__ = ["Bargain", "bargaining_move", "bargaining_weights"]

_STEPS = 200
_ENOUGH = 1e-5
"""Newton decrement from which one more step of second order reaches rounding errors."""
_CONFLICT = 1e-10
"""Conflict, as part of the squared gradients, that is taken for a complete one."""
_ROUNDING = 1e-5
"""Negative eigenvalue per player, relative to the squared gradients, that rounding may leave."""


@dataclass(frozen=True, kw_only=True)
class Bargain:
    """A joint move that everybody gains from.

    Attributes:
        move: du, shape (m,).
        weights: Weights of the costs that it is the cooperative move for, of mean 1, shape (N,).
        gains: What each player gains, shape (N,).
    """

    move: Tensor
    weights: Tensor
    gains: Tensor


def bargaining_weights(products: Tensor) -> Tensor | None:
    """Solve the bargaining problem of linear costs.

    Args:
        products: K, the inner products of the players' gradients in the inverse metric, shape
            (N, N).

    Returns:
        Weights of mean 1, shape (N,); those of players without a gradient, who gain nothing by any
        move, are 0. None where no move helps all others.

    Raises:
        InvalidInputError: if the products are not finite, not symmetric, or not those of any
            gradients.
        ConvergenceError: if Newton's method does not arrive.
    """
    shaped("products", products, "n n")
    finite("products", products)
    symmetric("products", products)
    exact = products.detach().to("cpu", torch.float64).numpy()
    size = np.sqrt(exact.diagonal().clip(min=0))
    there = size > 0
    if not there.any():
        return None
    # Units of length one: the solution in them is well scaled whatever the costs are counted in.
    cosines = exact[np.ix_(there, there)] / np.outer(size[there], size[there])
    least = float(np.linalg.eigvalsh(cosines)[0])
    if least < -_ROUNDING * len(cosines):
        raise InvalidInputError(
            "products: expected inner products of gradients, got a matrix that is not positive "
            f"semidefinite (eigenvalue {least:.3g} in units of the gradients' norms)"
        )
    agreed = _agree(cosines)
    if agreed is None:
        return None
    weights = np.zeros_like(size)
    weights[there] = agreed / size[there]
    return torch.from_numpy(weights / weights.mean()).to(products)


def bargaining_move(slopes: Tensor, curvatures: Tensor) -> Bargain | None:
    """Solve the bargaining problem of quadratic costs, against the threat to stay.

    Args:
        slopes: Every cost's gradient g^i over the joint control, shape (N, m).
        curvatures: Their Hessians H^i, positive semidefinite, shape (N, m, m), at least their sum
            positive definite.

    Returns:
        The agreement; None where no move helps everybody.

    Raises:
        InvalidInputError: if shapes do not fit, numbers are not finite, a Hessian is not symmetric
            and positive semidefinite, or gains have no bound.
        ConvergenceError: if Newton's method does not arrive.
    """
    sizes = shaped("slopes", slopes, "n m")
    shaped("curvatures", curvatures, "n m m", **sizes)
    finite("slopes", slopes)
    finite("curvatures", curvatures)
    symmetric("curvatures", curvatures)
    least = torch.linalg.eigvalsh(curvatures)
    if bool((least[:, 0] < -1e-9 * least[:, -1].clamp_min(1e-300)).any()):
        raise InvalidInputError(
            "curvatures: expected positive semidefinite matrices, got one with the eigenvalue "
            f"{float(least[:, 0].min()):.3g}"
        )
    if not float(torch.linalg.eigvalsh(curvatures.sum(0))[0]) > 0:
        raise InvalidInputError(
            "curvatures: expected a positive definite sum, else gains may have no bound"
        )
    first = bargaining_weights(slopes @ slopes.mT)
    if first is None or not bool((first > 0).all()):
        return None
    move = -slopes.mT @ first
    while not bool((_gains(slopes, curvatures, move) > 0).all()):
        move = move / 2
        if not bool(move.any()):
            return None
    near, decrement = False, math.inf
    for _ in range(_STEPS):
        gains = _gains(slopes, curvatures, move)
        # Of -sum log s_i: gradient sum (g + H du) / s, Hessian sum H / s + (g + H du)(..)' / s^2.
        rows = (slopes + curvatures @ move) / gains[:, None]
        slope = rows.sum(0)
        hessian = (curvatures / gains[:, None, None]).sum(0) + rows.mT @ rows
        direction = torch.linalg.solve(hessian, -slope)
        decrement = math.sqrt(max(float(-slope @ direction), 0.0))
        if near:
            weights = 1 / gains
            return Bargain(move=move, weights=weights / weights.mean(), gains=gains)
        near = decrement <= _ENOUGH
        length = 1.0 if decrement < 0.25 else 1 / (1 + decrement)
        while not bool((_gains(slopes, curvatures, move + length * direction) > 0).all()):
            length /= 2
        move = move + length * direction
    raise ConvergenceError(
        f"slopes: expected the bargaining problem to be solved in {_STEPS} steps, the decrement is "
        f"{decrement:.1e}; nearly complete conflict or badly scaled costs"
    )


def _gains(slopes: Tensor, curvatures: Tensor, move: Tensor) -> Tensor:
    return -slopes @ move - 0.5 * (curvatures @ move) @ move


def _agree(cosines: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Minimise `w' K w / 2 - sum log w` for a K with a unit diagonal."""
    # It is as small as there are players, where NumPy takes half of torch's time.
    weights, decrement = np.ones(len(cosines)), math.inf
    near = False
    for _ in range(_STEPS):
        image = cosines @ weights
        # w' K w is |sum w g|^2 = N at the solution: its share of (sum w)^2 is what conflict leaves.
        if float(weights.sum()) ** 2 * _CONFLICT > max(float(weights @ image), len(weights)):
            return None
        slope = image - 1 / weights
        direction = np.linalg.solve(cosines + np.diag(weights**-2), -slope)
        decrement = math.sqrt(max(float(-slope @ direction), 0.0))
        length = 1.0 if decrement < 0.25 else 1 / (1 + decrement)
        weights = weights + length * direction
        if near:
            return weights
        near = decrement <= _ENOUGH
    raise ConvergenceError(
        f"products: expected the bargaining problem to be solved in {_STEPS} steps, the decrement "
        f"is {decrement:.1e}"
    )
