"""Products of one matrix with a matrix per player, arranged for few and fast passes over memory."""

from torch import Tensor

__all__ = ["left_product", "right_product"]


def left_product(one: Tensor, many: Tensor) -> Tensor:
    """Give `one' @ many_i` for every player i.

    Args:
        one: The matrix shared by the players, shape (..., k, r), not yet transposed: in this form
            it is repeated fastest.
        many: A matrix per player, shape (..., N, k, c).

    Returns:
        The products, shape (..., N, r, c).
    """
    repeated = one.unsqueeze(-3).expand(*one.shape[:-2], many.shape[-3], -1, -1).contiguous()
    return repeated.mT @ many


def right_product(many: Tensor, one: Tensor) -> Tensor:
    """Give `many_i @ one` for every player i, as one product with the players' rows joined.

    Args:
        many: A matrix per player, shape (..., N, r, k).
        one: The matrix shared by the players, shape (..., k, c).

    Returns:
        The products, shape (..., N, r, c).
    """
    return (many.flatten(-3, -2) @ one).reshape(*many.shape[:-1], one.shape[-1])
