r"""The control of a transposed convolution.

Input position s adds `W' x_s` to the part of the output that the kernel covers there. Its
derivative is an outer product with the roles of a convolution exchanged: the patches are cut out of
what a column gives back at the output, and the input is the other factor. The control matrix has
shape (o k, i) with k positions of the kernel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ocngame.games.matrix_controls import windows
from ocngame.games.network_control import NetworkControl
from ocngame.linalg import OuterColumns

__all__ = ["TransposedControl"]


@dataclass(frozen=True)
class TransposedControl(NetworkControl):
    """The kernel of a transposed convolution with one group and without offset."""

    module: nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d

    @property
    def factored(self) -> bool:
        """True: the columns are sums of outer products."""
        return True

    @property
    def shape(self) -> tuple[int, int]:
        """Control shape (o k, i)."""
        weight = self.module.weight
        return weight[0].numel(), weight.shape[0]

    def split(self, control: Tensor) -> list[Tensor]:
        """Give the kernel.

        Args:
            control: Shape (o k, i).

        Returns:
            Shape (i, o, *kernel).
        """
        return [control.mT.unflatten(1, self.module.weight.shape[1:])]

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Give the control matrix.

        Args:
            parts: The kernel.

        Returns:
            Shape (o k, i).
        """
        return parts[0].flatten(1).mT

    def factors(self, x: Tensor) -> Tensor:
        """Order an input by positions.

        Args:
            x: Shape (B, i, *space).

        Returns:
            Shape (B, S, i).
        """
        return x.detach().flatten(2).mT.contiguous()

    def left(self, grad: Tensor) -> Tensor:
        """Cut what columns give back at the output into patches.

        Args:
            grad: Shape (R, B, o, *space).

        Returns:
            Shape (R, B, S, o k).
        """
        dims = grad.ndim - 3
        patches = windows(self.module, grad.flatten(0, 1))
        order = (0, *range(2, 2 + dims), 1, *range(2 + dims, 2 + 2 * dims))
        patches = patches.permute(order).flatten(1 + dims).flatten(1, dims)
        return patches.unflatten(0, grad.shape[:2])

    def columns(self, left: Tensor, factors: Tensor) -> OuterColumns:
        """Give the columns.

        Args:
            left: Shape (R, B, S, o k).
            factors: Shape (B, S, i).

        Returns:
            Sums of outer products.
        """
        return OuterColumns(left, factors)
