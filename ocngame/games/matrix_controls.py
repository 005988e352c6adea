r"""Controls that multiply: linear layers and convolutions.

A linear layer `h = U x_bar` (`x_bar` is the input with a one appended where there is an offset) has
the columns `z = sum_s g_s x_bar_s'` over its positions s. A convolution is a linear layer on
patches: at output position s it multiplies the part of the padded input that its kernel covers
there, ordered (channel, kernel). With groups, every output channel has the patches of its own
group; such columns are no outer products and are kept entry by entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocngame.games.network_control import NetworkControl
from ocngame.linalg import Columns, DenseColumns, OuterColumns

__all__ = ["ConvolutionControl", "LinearControl", "windows"]

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d


@dataclass(frozen=True)
class _MatrixControl(NetworkControl):
    """Weight as a matrix with one row per output, and the offset as last column."""

    module: nn.Linear | Convolution

    @cached_property
    def trained(self) -> tuple[bool, bool]:
        """Whether the weight and the offset are controls (they exist and are not frozen)."""
        bias = self.module.bias
        return self.module.weight.requires_grad, bias is not None and bias.requires_grad

    @cached_property
    def shape(self) -> tuple[int, int]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Control shape (o, i)."""
        weight, bias = self.trained
        outputs = self.module.weight.shape[0]
        return outputs, self.module.weight[0].numel() * weight + bias

    def split(self, control: Tensor) -> list[Tensor]:
        """Split a control matrix into the shapes of `parameters`.

        Args:
            control: Shape (o, i).

        Returns:
            Views of the weight part and of the offset part, as far as they are controls.
        """
        weight, bias = self.trained
        if not weight:
            return [control[:, -1]]
        matrix = control[:, :-1] if bias else control
        shaped = matrix.unflatten(1, self.module.weight.shape[1:])
        return [shaped, control[:, -1]] if bias else [shaped]

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Join tensors of the shapes of `parameters` into one control matrix.

        Args:
            parts: Weight-shaped and offset-shaped tensor, as far as they are controls.

        Returns:
            Shape (o, i).
        """
        flat = [part.flatten(1) if part.ndim > 1 else part.unsqueeze(1) for part in parts]
        return torch.cat(flat, dim=1)


@dataclass(frozen=True)
class LinearControl(_MatrixControl):
    """The control of a linear layer."""

    module: nn.Linear

    @property
    def factored(self) -> bool:
        """True: the columns are sums of outer products."""
        return True

    def factors(self, x: Tensor) -> Tensor:
        """Bring an input to shape (B, S, i), with ones appended for an offset.

        Args:
            x: Input of the layer, shape (B, ..., in_features).

        Returns:
            Input factors.
        """
        weight, bias = self.trained
        x = x.detach().reshape(x.shape[0], -1, x.shape[-1])
        if not bias:
            return x
        ones = torch.ones_like(x[..., :1])
        return torch.cat([x, ones], -1) if weight else ones

    def left(self, grad: Tensor) -> Tensor:
        """Bring (R, B, ..., o) to (R, B, S, o).

        Args:
            grad: What columns give back at the output.

        Returns:
            The output-side factors.
        """
        return grad.reshape(*grad.shape[:2], -1, grad.shape[-1])

    def columns(self, left: Tensor, factors: Tensor) -> OuterColumns:
        """Give the columns.

        Args:
            left: Shape (R, B, S, o).
            factors: Shape (B, S, i).

        Returns:
            Sums of outer products.
        """
        return OuterColumns(left, factors)


@dataclass(frozen=True)
class ConvolutionControl(_MatrixControl):
    """The control of a convolution over one, two or three dimensions."""

    module: Convolution

    @property
    def factored(self) -> bool:
        """Whether the columns are sums of outer products: with one group."""
        return self.module.groups == 1

    def factors(self, x: Tensor) -> Tensor:
        """Cut an input into patches, with ones appended for an offset.

        Args:
            x: Input of the layer, shape (B, C, *space).

        Returns:
            Shape (B, S, i), or (B, S, groups, i) with several groups.
        """
        weight, bias = self.trained
        layer, groups = self.module, self.module.groups
        covered = windows(layer, x.detach())
        dims = len(layer.kernel_size)
        places, kernel = range(2, 2 + dims), range(2 + dims, 2 + 2 * dims)
        inputs = layer.weight[0].numel()
        # With the places last, both sides of the copy are read along the rows of the image.
        shape = groups, inputs * weight + bias, *(covered.shape[d] for d in (0, *places))
        patches = x.new_empty(shape)
        if weight:
            ordered = covered.permute(1, *kernel, 0, *places).unflatten(0, (groups, -1))
            target = patches[:, :inputs] if bias else patches
            target.unflatten(1, ordered.shape[1 : 2 + dims]).copy_(ordered)
        if bias:
            patches[:, -1] = 1.0
        patches = patches.flatten(3).permute(2, 3, 0, 1)
        return patches.squeeze(2) if groups == 1 else patches

    def left(self, grad: Tensor) -> Tensor:
        """Bring (R, B, o, *space) to (R, B, S, o).

        Args:
            grad: What columns give back at the output.

        Returns:
            The output-side factors.
        """
        return grad.flatten(3).mT.contiguous()

    def columns(self, left: Tensor, factors: Tensor) -> Columns:
        """Give the columns.

        Args:
            left: Shape (R, B, S, o).
            factors: Shape (B, S, i), or (B, S, groups, i).

        Returns:
            Sums of outer products, or matrices with several groups.
        """
        if self.factored:
            return OuterColumns(left, factors)
        grouped = left.unflatten(-1, (self.module.groups, -1))
        return DenseColumns(torch.einsum("rbsgo,bsgi->rbgoi", grouped, factors).flatten(2, 3))


def windows(layer: Any, x: Tensor) -> Tensor:
    """Give what the kernel of a convolution covers at every place.

    Args:
        layer: The convolution, or a transposed one with its output.
        x: Shape (B, C, *space).

    Returns:
        A view, shape (B, C, *places, *kernel).
    """
    dims = len(layer.kernel_size)
    ends: list[int] = []
    for axis in reversed(range(dims)):
        if isinstance(layer.padding, str):
            total = layer.dilation[axis] * (layer.kernel_size[axis] - 1)
            total = total if layer.padding == "same" else 0
            ends += [total // 2, total - total // 2]
        else:
            ends += [int(layer.padding[axis])] * 2
    if any(ends):
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        x = F.pad(x, ends, mode=mode)
    for axis in range(dims):
        span = layer.dilation[axis] * (layer.kernel_size[axis] - 1) + 1
        x = x.unfold(2 + axis, span, layer.stride[axis])[..., :: layer.dilation[axis]]
    return x
