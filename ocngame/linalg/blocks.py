r"""Block-diagonal symmetric matrices of equal blocks, for factors too large to be kept whole.

A vector of d entries is cut into n parts of b = ceil(d / n) entries, the last filled up with zeros.
A block-diagonal matrix is a stack (n, b, b), and acts on each part alone. One block is the dense
matrix.
"""

import torch.nn.functional as F
from torch import Tensor

__all__ = ["block_gram", "block_multiply", "block_number"]


def block_number(size: int, other: int, least: int = 128, ratio: float = 2.0) -> int:
    """Choose the number of blocks for one side of a control.

    A block is at most `ratio` times as wide as the control's other side, so that the factors of a
    control take a bounded number of bytes per entry, but never narrower than `least`.

    Args:
        size: Width d of the side.
        other: Width of the other side.
        least: Width up to which a side is one block.
        ratio: Largest block in units of the other side.

    Returns:
        n, at least 1.
    """
    widest = max(least, int(ratio * other))
    return -(-size // widest)


def block_gram(x: Tensor, blocks: int) -> Tensor:
    """Give the block-diagonal part of `x' x`.

    Args:
        x: Rows, shape (K, d).
        blocks: n.

    Returns:
        Shape (n, b, b).
    """
    if blocks == 1:
        return (x.mT @ x).unsqueeze(0)
    parts = _cut(x, blocks).transpose(0, 1)
    return parts.mT @ parts


def block_multiply(x: Tensor, matrix: Tensor) -> Tensor:
    """Give `x matrix` for row vectors x.

    Args:
        x: Shape (..., d).
        matrix: Symmetric blocks, shape (n, b, b).

    Returns:
        Shape (..., d).
    """
    blocks = matrix.shape[0]
    if blocks == 1:
        return x @ matrix[0]
    rows = x.reshape(-1, x.shape[-1])
    product = (_cut(rows, blocks).transpose(0, 1) @ matrix).transpose(0, 1)
    return product.flatten(1)[:, : x.shape[-1]].reshape(x.shape)


def _cut(x: Tensor, blocks: int) -> Tensor:
    """Cut (K, d) into (K, n, b)."""
    width = -(-x.shape[1] // blocks)
    missing = blocks * width - x.shape[1]
    return (F.pad(x, (0, missing)) if missing else x).unflatten(1, (blocks, width))
