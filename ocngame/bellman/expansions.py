r"""Quadratic expansions of values and Q-functions, for any number of players.

Notation (leading batch dimensions `...` everywhere; N players, state size n, joint control size m):

    V^i(dx)     = v_i + v_x,i' dx + 1/2 dx' v_xx,i dx
    Q^i(dx, du) = q_i + q_x,i' dx + q_u,i' du
                  + 1/2 dx' q_xx,i dx + du' q_ux,i dx + 1/2 du' q_uu,i du

With stage dynamics `dx_next = A dx + B du + c` and a quadratic stage cost `l`, the Q-function is
`Q = l + V_next(A dx + B du + c)`, hence (Basar & Olsder, Dynamic Noncooperative Game Theory,
section 6.2; Mayne, 1966, for the single-player expansion):

    q    = l    + v + v_x' c + 1/2 c' v_xx c
    q_x  = l_x  + A' (v_x + v_xx c)          q_xx = l_xx + A' v_xx A
    q_u  = l_u  + B' (v_x + v_xx c)          q_ux = l_ux + B' v_xx A
                                             q_uu = l_uu + B' v_xx B
"""

from dataclasses import dataclass

from torch import Tensor

from ocngame.linalg import left_product, right_product

__all__ = ["QExpansion", "QuadraticStage", "ValueExpansion", "expand_q"]


@dataclass(frozen=True, kw_only=True)
class ValueExpansion:
    """Second-order expansion of every player's value at one stage.

    Attributes:
        v: Constants, shape (..., N).
        v_x: Gradients, shape (..., N, n).
        v_xx: Symmetric Hessians, shape (..., N, n, n).
    """

    v: Tensor
    v_x: Tensor
    v_xx: Tensor


@dataclass(frozen=True, kw_only=True)
class QExpansion:
    """Second-order expansion of every player's Q-function at one stage.

    Attributes:
        q: Constants, shape (..., N).
        q_x: State gradients, shape (..., N, n).
        q_u: Control gradients, shape (..., N, m).
        q_xx: State Hessians, shape (..., N, n, n).
        q_ux: Mixed Hessians, shape (..., N, m, n).
        q_uu: Control Hessians, shape (..., N, m, m).
        q_xu: The other mixed block, shape (..., N, n, m), where it is not the transpose of q_ux:
            with costates in the place of value gradients the Jacobians are not symmetric.
    """

    q: Tensor
    q_x: Tensor
    q_u: Tensor
    q_xx: Tensor
    q_ux: Tensor
    q_uu: Tensor
    q_xu: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class QuadraticStage:
    """Affine dynamics and quadratic costs of one stage, in deviations (dx, du).

    Attributes:
        A: State matrix, shape (..., n_next, n).
        B: Control matrix over the joint control, shape (..., n_next, m).
        c: Offset, shape (..., n_next); None if there is none.
        cost: The running costs as a `QExpansion` (gradients and Hessians of l).
    """

    A: Tensor
    B: Tensor
    c: Tensor | None
    cost: QExpansion


def expand_q(stage: QuadraticStage, value: ValueExpansion) -> QExpansion:
    """Expand `Q = l + V_next(A dx + B du + c)` of every player.

    Args:
        stage: Dynamics and running costs of the stage.
        value: Every player's value at the next stage.

    Returns:
        The expansion of every player's Q-function; the formulas stand in the module's docstring.
    """
    A, B, cost = stage.A, stage.B, stage.cost
    slope, constant = value.v_x, cost.q + value.v
    if stage.c is not None:
        slope = slope + right_product(value.v_xx, stage.c.unsqueeze(-1)).squeeze(-1)
        mean = 0.5 * (value.v_x + slope)
        constant = constant + (mean @ stage.c.unsqueeze(-1)).squeeze(-1)
    along_a, along_b = left_product(A, value.v_xx), left_product(B, value.v_xx)
    return QExpansion(
        q=constant,
        q_x=slope @ A + cost.q_x,
        q_u=slope @ B + cost.q_u,
        q_xx=right_product(along_a, A) + cost.q_xx,
        q_ux=right_product(along_b, A) + cost.q_ux,
        q_uu=right_product(along_b, B) + cost.q_uu,
    )
