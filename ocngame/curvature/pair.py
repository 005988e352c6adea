r"""Curvature of two players who act at the same stage, with the block between them.

Players u and v of one stage (a residual branch and its shortcut, two branches of an inception
block) share the state, so their joint `Q_uu` has a block off the diagonal. With the Kronecker
factors of the pair,

    Q_uu = B_uu (x) A_uu,    Q_uv = B_uv (x) A_uv,    Q_vv = B_vv (x) A_vv
    A_uv = (1/B) sum_b sum_s x_u x_v',    B_uv = (1/(B S)) sum_b sum_r,s g_u g_v'

and damping on the own blocks, the group rational move of the pair is

    S = Q_uu - Q_uv Q_vv^{-1} Q_vu
    du = -S^{-1} (Q_u + Q_uv k_v),    dv = k_v - Q_vv^{-1} Q_vu du

with `k_v = -Q_vv^{-1} Q_v` (Liu et al., 2105.03788; own blocks alone give `k_u, k_v`, the move
without cooperation). With `Q_ux, K_v` in the place of `Q_u, k_v` it is the pair's feedback. `S` is
a difference of Kronecker products,

    S = P (x) R - T (x) W,    T = B_uv B_vv^{-1} B_vu,    W = A_uv A_vv^{-1} A_vu

With `P = L L'`, `R = M M'` and the eigenvalues `L^{-1} T L^{-T} = U sigma U'`,
`M^{-1} W M^{-T} = V tau V'` it is diagonal, `S = (LU (x) MV) (1 - sigma tau') (LU (x) MV)'`. As
both joint factors are positive semi-definite, `0 <= sigma, tau < 1` under damping, and S is
positive definite.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.curvature.kronecker import split_damping
from ocngame.errors import InvalidInputError
from ocngame.linalg import OuterColumns

__all__ = ["KroneckerPair", "PairFactors"]


@dataclass(frozen=True)
class PairFactors:
    """Joint Kronecker factors of two players.

    Attributes:
        left: Output side of both, shape (o_u + o_v, o_u + o_v).
        right: Input side of both, shape (i_u + i_v, i_u + i_v).
        sizes: Control shapes ((o_u, i_u), (o_v, i_v)).
    """

    left: Tensor
    right: Tensor
    sizes: tuple[tuple[int, int], tuple[int, int]]

    @classmethod
    def of(cls, u: OuterColumns, v: OuterColumns) -> "PairFactors":
        """Estimate the factors from one batch.

        Args:
            u: Columns of player u.
            v: Columns of player v over the same samples and output columns.

        Returns:
            The factors.

        Raises:
            InvalidInputError: if the players' controls are used at different numbers of positions.
        """
        if u.left.shape[:3] != v.left.shape[:3]:
            raise InvalidInputError(
                "pair: expected players whose controls act at the same positions, got "
                f"{u.left.shape[2]} and {v.left.shape[2]}"
            )
        samples, positions = u.right.shape[:2]
        left = torch.cat([u.left, v.left], -1).flatten(0, 2)
        right = torch.cat([u.right, v.right], -1).flatten(0, 1)
        sizes = (
            (u.left.shape[-1], u.right.shape[-1]),
            (v.left.shape[-1], v.right.shape[-1]),
        )
        return cls(left.mT @ left / (samples * positions), right.mT @ right / samples, sizes)

    def damped(self, damping: Tensor | float) -> "KroneckerPair":
        """Put damping on the own blocks, split over the factors of each player.

        Args:
            damping: lambda, positive.

        Returns:
            The operator.
        """
        (o, i), _ = self.sizes
        shifts = (
            split_damping(self.left[:o, :o], self.right[:i, :i], damping),
            split_damping(self.left[o:, o:], self.right[i:, i:], damping),
        )
        left, right = self.left.clone(), self.right.clone()
        for start, (shift, _) in zip((0, o), shifts, strict=True):
            left.diagonal()[start : o if start == 0 else None] += shift
        for start, (_, shift) in zip((0, i), shifts, strict=True):
            right.diagonal()[start : i if start == 0 else None] += shift
        return KroneckerPair(left, right, self.sizes)


@dataclass(frozen=True)
class KroneckerPair:
    """The joint operator of two players, positive definite.

    Attributes:
        left: Output side of both, damped.
        right: Input side of both, damped.
        sizes: Control shapes ((o_u, i_u), (o_v, i_v)).
    """

    left: Tensor
    right: Tensor
    sizes: tuple[tuple[int, int], tuple[int, int]]

    def matmul(self, du: Tensor, dv: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the joint operator.

        Args:
            du: Shape (..., o_u, i_u).
            dv: Shape (..., o_v, i_v).

        Returns:
            Both players' rows of the product.
        """
        (b_uu, b_uv, b_vv), (a_uu, a_uv, a_vv) = self._blocks
        return (
            b_uu @ du @ a_uu + b_uv @ dv @ a_uv.mT,
            b_uv.mT @ du @ a_uv + b_vv @ dv @ a_vv,
        )

    def solve(self, q_u: Tensor, q_v: Tensor) -> tuple[Tensor, Tensor]:
        """Solve the joint system exactly, by two eigendecompositions.

        Args:
            q_u: Shape (..., o_u, i_u).
            q_v: Shape (..., o_v, i_v).

        Returns:
            What the joint operator maps on the arguments.
        """
        (b_uu, b_uv, b_vv), (a_uu, a_uv, a_vv) = (
            tuple(block.double() for block in blocks) for blocks in self._blocks
        )
        wanted_u, wanted_v = q_u.double(), q_v.double()
        b_v, a_v = torch.linalg.cholesky(b_vv), torch.linalg.cholesky(a_vv)
        k_v = _solve(b_v, wanted_v, a_v)
        reduced = wanted_u - b_uv @ k_v @ a_uv.mT
        left, sigma = _diagonalised(b_uu, b_uv, b_v)
        right, tau = _diagonalised(a_uu, a_uv, a_v)
        spectrum = 1.0 - sigma[:, None] * tau
        du = left @ ((left.mT @ reduced @ right) / spectrum) @ right.mT
        dv = k_v - _solve(b_v, b_uv.mT @ du @ a_uv, a_v)
        return du.to(q_u.dtype), dv.to(q_v.dtype)

    def own_blocks(self, q_u: Tensor, q_v: Tensor) -> tuple[Tensor, Tensor]:
        """Solve each player's own block alone: what players do who ignore each other's move.

        Args:
            q_u: Shape (..., o_u, i_u).
            q_v: Shape (..., o_v, i_v).

        Returns:
            Both solutions.
        """
        (b_uu, _, b_vv), (a_uu, _, a_vv) = self._blocks
        return (
            _solve(torch.linalg.cholesky(b_uu), q_u, torch.linalg.cholesky(a_uu)),
            _solve(torch.linalg.cholesky(b_vv), q_v, torch.linalg.cholesky(a_vv)),
        )

    @property
    def _blocks(self) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
        (o, i), _ = self.sizes
        left, right = self.left, self.right
        return (
            (left[:o, :o], left[:o, o:], left[o:, o:]),
            (right[:i, :i], right[:i, i:], right[i:, i:]),
        )


def _solve(left: Tensor, matrix: Tensor, right: Tensor) -> Tensor:
    """Give `(L L')^{-1} matrix (M M')^{-1}` for lower triangular L and M."""
    half = torch.cholesky_solve(matrix, left)
    return torch.cholesky_solve(half.mT, right).mT


def _diagonalised(own: Tensor, cross: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Give X and sigma with `X' own X = 1`, `X' cross (other other')^{-1} cross' X = sigma`."""
    factor = torch.linalg.cholesky(own)
    half = torch.linalg.solve_triangular(other, cross.mT, upper=False)
    half = torch.linalg.solve_triangular(factor, half.mT, upper=False)
    sigma, vectors = torch.linalg.eigh(half @ half.mT)
    return torch.linalg.solve_triangular(factor.mT, vectors, upper=True), sigma
