"""Products of one matrix with a matrix per player, each a single product without a copy.

All read and give back players' matrices whose rows lie side by side in memory: row k of all
players, then row k + 1. In that order the players' columns form one wide matrix, and their rows one
tall matrix, so what one product gives the next one reads as it is. Any other order is copied. A
single game has little to copy, and calls are what it costs: there the order is the usual one.
"""

import torch
from torch import Tensor

__all__ = ["left_product", "right_product", "with_transpose"]


def left_product(one: Tensor, many: Tensor) -> Tensor:
    """Give `one' @ many_i` for every player i.

    Args:
        one: The matrix shared by the players, shape (..., k, r), not yet transposed.
        many: A matrix per player, shape (..., N, k, c).

    Returns:
        The products, shape (..., N, r, c).
    """
    if many.ndim == 3:
        return torch.bmm(one.mT.expand(many.shape[0], -1, -1), many)
    product = one.mT @ many.transpose(-3, -2).flatten(-2)
    return product.view(*product.shape[:-1], many.shape[-3], many.shape[-1]).transpose(-3, -2)


def right_product(many: Tensor, one: Tensor) -> Tensor:
    """Give `many_i @ one` for every player i.

    Args:
        many: A matrix per player, shape (..., N, r, k).
        one: The matrix shared by the players, shape (..., k, c).

    Returns:
        The products, shape (..., N, r, c).
    """
    if many.ndim == 3:
        return many @ one
    product = many.transpose(-3, -2).flatten(-3, -2) @ one
    shape = (*product.shape[:-2], many.shape[-2], many.shape[-3], one.shape[-1])
    return product.view(shape).transpose(-3, -2)


def with_transpose(many: Tensor) -> Tensor:
    """Give `many_i + many_i'` for every player i, exactly symmetric.

    Args:
        many: A matrix per player, shape (..., N, n, n).

    Returns:
        The sums, shape (..., N, n, n).
    """
    if many.ndim == 3:
        return many + many.mT
    # A batch is transposed by a gather: reading it against the grain takes twice the time.
    rows = many.transpose(-3, -2)
    places = torch.arange(rows.shape[-3:].numel(), device=many.device)
    order = places.view(rows.shape[-3:]).transpose(0, 2).flatten()
    turned = rows.flatten(-3).index_select(-1, order).view(rows.shape)
    return (rows + turned).transpose(-3, -2)
