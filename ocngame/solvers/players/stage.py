r"""The stage game of a differentiable game under each information structure.

The stage condition is `S du + s = 0`, that of `ocngame.bellman.stage_game` without a state:

    feedback Nash, zero-sum   s = xi,                    S = J
    open loop, own block      s = xi,                    S = diagonal blocks of J
    cooperative               s = sum w_i g^i,           S = sum w_i d^2 f^i
    Stackelberg, leader L     s_L = Z' g^L,  s_F = xi_F, S_L = Z' d^2 f^L,  S_F = J_F

with `Z = [I; C]` and the followers' answer `C = -S_FF^{-1} S_FL`. With the players' moves
simultaneous and without a state, open loop means that nobody expects the others to move: the
simultaneous gradient method, preconditioned. A `Stage` gives `s`, products with S (true curvatures)
and the move, which solves the condition with own blocks made positive plus `lambda I`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from ocngame._checks import in_range, integer
from ocngame.games import InformationStructure

__all__ = ["DenseSolve", "KrylovSolve", "Move", "Stage", "StageSolve", "condition_of"]


@dataclass(frozen=True, kw_only=True)
class Move:
    """A solution of the stage condition.

    Attributes:
        direction: du, shape (m,).
        products: Second-order backward passes that the solve took.
        residual: Relative residual of the linear solve, 0 for a factorisation.
        converged: Whether that is within the tolerance.
        removed: Negative own curvatures that were taken out.
    """

    direction: Tensor
    products: int = 0
    residual: float = 0.0
    converged: bool = True
    removed: int = 0


class Stage(ABC):
    """The stage condition at one point.

    Attributes:
        slope: s, shape (m,).
    """

    slope: Tensor

    @abstractmethod
    def product(self, direction: Tensor) -> Tensor:
        """Multiply with S at its true curvatures, shape (m,)."""

    @abstractmethod
    def solve(self, damping: float, start: Tensor | None) -> Move:
        """Solve the condition with positive own blocks, from a first guess of the move."""


class StageSolve(ABC):
    """How the stage condition is solved."""


@dataclass(frozen=True, kw_only=True)
class DenseSolve(StageSolve):
    """All Hessians as matrices, the stage game of `ocngame.bellman`; for small games."""


@dataclass(frozen=True, kw_only=True)
class KrylovSolve(StageSolve):
    """GMRES on products, started from the last move.

    Attributes:
        tolerance: Relative residual at which a solve stops.
        max_products: Most products of one solve.
        required: Whether a solve that does not converge is an error; otherwise its best answer is
            taken and the step says so.
    """

    tolerance: float = 1e-2
    max_products: int = 20
    required: bool = False

    def __post_init__(self) -> None:
        """Validate the settings."""
        in_range("tolerance", self.tolerance, low=0.0, high=1.0, high_open=True)
        integer("max_products", self.max_products, low=1)


def condition_of(information: InformationStructure) -> InformationStructure:
    """Give the information structure whose stage condition is meant.

    Args:
        information: The information structure asked for.

    Returns:
        Own block for open loop, feedback for zero-sum, others unchanged.
    """
    match information:
        case InformationStructure.OPEN_LOOP:
            return InformationStructure.OWN_BLOCK
        case InformationStructure.ZERO_SUM:
            return InformationStructure.FEEDBACK
        case _:
            return information
