r"""Own blocks of the stage game: what stands for one player's Hessian of its own cost.

A block is a positive operator `M(lambda)` on the player's control as one vector, known by products
and solves. The coupled stage game `(M + X) du = -s`, X the mixed second derivatives, is solved
with the block as preconditioner: `(L X R + I) y = -L s`, `du = R y`, with `L M R = I`. A diagonal
stands on both sides by its root, other blocks on the left.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["DiagonalBlock", "JoinedBlock", "OwnBlock", "dense_block"]


class OwnBlock(ABC):
    """A positive operator on one player's control, shape (m_i,)."""

    @abstractmethod
    def matmul(self, v: Tensor, damping: float) -> Tensor:
        """Give `M(damping) v`."""

    @abstractmethod
    def solve(self, v: Tensor, damping: float) -> Tensor:
        """Give `M(damping)^{-1} v`."""

    def left(self, v: Tensor, damping: float) -> Tensor:
        """Give `L v`."""
        return self.solve(v, damping)

    def right(self, y: Tensor, damping: float) -> Tensor:
        """Give `R y`."""
        return y

    def right_inverse(self, v: Tensor, damping: float) -> Tensor:
        """Give `R^{-1} v`."""
        return v


@dataclass(frozen=True)
class DiagonalBlock(OwnBlock):
    """`M = diag(diagonal) + damping I`.

    Attributes:
        diagonal: Shape (m_i,).
    """

    diagonal: Tensor

    def matmul(self, v: Tensor, damping: float) -> Tensor:
        """Multiply entry by entry."""
        return (self.diagonal + damping) * v

    def solve(self, v: Tensor, damping: float) -> Tensor:
        """Divide entry by entry."""
        return v / (self.diagonal + damping)

    def left(self, v: Tensor, damping: float) -> Tensor:
        """Divide by the root."""
        return v / (self.diagonal + damping).sqrt()

    def right(self, y: Tensor, damping: float) -> Tensor:
        """Divide by the root."""
        return y / (self.diagonal + damping).sqrt()

    def right_inverse(self, v: Tensor, damping: float) -> Tensor:
        """Multiply with the root."""
        return v * (self.diagonal + damping).sqrt()


class JoinedBlock(OwnBlock):
    """Blocks of several players side by side: a coalition's."""

    def __init__(self, blocks: Sequence[OwnBlock], slices: Sequence[slice]):
        """Take the blocks.

        Args:
            blocks: One per player.
            slices: Where each acts.
        """
        self._parts = list(zip(blocks, slices, strict=True))

    def matmul(self, v: Tensor, damping: float) -> Tensor:
        """Multiply block by block."""
        return torch.cat([block.matmul(v[s], damping) for block, s in self._parts])

    def solve(self, v: Tensor, damping: float) -> Tensor:
        """Solve block by block."""
        return torch.cat([block.solve(v[s], damping) for block, s in self._parts])

    def left(self, v: Tensor, damping: float) -> Tensor:
        """Give `L v` block by block."""
        return torch.cat([block.left(v[s], damping) for block, s in self._parts])

    def right(self, y: Tensor, damping: float) -> Tensor:
        """Give `R y` block by block."""
        return torch.cat([block.right(y[s], damping) for block, s in self._parts])

    def right_inverse(self, v: Tensor, damping: float) -> Tensor:
        """Give `R^{-1} v` block by block."""
        return torch.cat([block.right_inverse(v[s], damping) for block, s in self._parts])


def dense_block(block: OwnBlock, like: Tensor, damping: float) -> Tensor:
    """Give a block as a matrix; for small games and tests.

    Args:
        block: The block.
        like: A vector of its size, dtype and device, shape (m_i,).
        damping: lambda.

    Returns:
        Shape (m_i, m_i), symmetric.
    """
    columns = torch.eye(len(like)).to(like)
    found = torch.stack([block.matmul(column, damping) for column in columns])
    return 0.5 * (found + found.mT)
