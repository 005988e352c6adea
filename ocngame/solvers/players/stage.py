r"""The stage game of a differentiable game under each information structure.

The stage condition is `S du + s = 0`, that of `ocngame.bellman.stage_game` without a state:

    feedback Nash, zero-sum   s = xi,                    S = J
    open loop, own block      s = xi,                    S = diagonal blocks of J
    cooperative               s = sum w_i g^i,           S = sum w_i d^2 f^i
    Stackelberg, leader L     s_L = Z' g^L,  s_F = xi_F, S_L = Z' d^2 f^L,  S_F = J_F

with `Z = [I; C]` and the followers' answer `C = -S_FF^{-1} S_FL`. With the players' moves
simultaneous and without a state, open loop means that nobody expects the others to move: the
simultaneous gradient method, preconditioned. A `Stage` gives `s`, products with S (true curvatures)
and the move, which solves the condition with own blocks made positive and damped by lambda.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ocngame.bellman import StageRule
from ocngame.games import GamePoint, InformationStructure
from ocngame.solvers.players.own_block import JoinedBlock, OwnBlock

__all__ = ["Move", "OwnBlocks", "Stage", "StageSolve", "condition_of"]


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


@dataclass(frozen=True)
class OwnBlocks:
    """What stands for the own blocks.

    Attributes:
        blocks: One per player, or None for the Hessians.
        lanczos: Products per player that look for negative eigenvalues of the Hessians.
    """

    blocks: Sequence[OwnBlock] | None = None
    lanczos: int = 0

    def of_makers(self, rule: StageRule) -> Sequence[OwnBlock] | None:
        """Give one block per decision maker: a coalition's is that of all players side by side.

        Args:
            rule: Slices and condition.

        Returns:
            The blocks, or None for the Hessians.
        """
        if self.blocks is None or rule.information is not InformationStructure.COOPERATIVE:
            return self.blocks
        return [JoinedBlock(self.blocks, rule.slices)]


class StageSolve(ABC):
    """How the stage condition is solved.

    Attributes:
        required: Whether a solve that does not converge is an error.
    """

    required: bool = False

    @abstractmethod
    def stage(self, point: GamePoint, rule: StageRule, own: OwnBlocks) -> Stage:
        """Give the stage at a point."""


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
