r"""Controls of single entries and of table rows: normalisations, rectifiers, embeddings.

A normalisation `h = w * n(x) + c` has, per channel, the derivatives `z_w = sum_s g_s n_s` and
`z_c = sum_s g_s` over its positions s, with `n` the normalised input: few entries, kept as they
are. The parametric rectifier `h = max(x, 0) + w min(x, 0)` has `z_w = sum_s g_s min(x_s, 0)`.

Batch normalisation in training mode normalises by the statistics of the batch as they were in the
recorded pass; `n` is taken by the same statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocngame.games.batch_statistics import BATCH_NORMS, couples_samples
from ocngame.games.network_control import NetworkControl
from ocngame.games.twins import LastOffset, Offset
from ocngame.linalg import DenseColumns, RowColumns

__all__ = ["SCALED", "EmbeddingControl", "ScaleControl"]

_CHANNEL_NORMS = (nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
_LAST_NORMS = (nn.LayerNorm, nn.RMSNorm)
SCALED = (*BATCH_NORMS, *_CHANNEL_NORMS, *_LAST_NORMS, nn.PReLU)
"""The layers whose control is a scale, with or without an offset."""


@dataclass(frozen=True)
class ScaleControl(NetworkControl):
    """Scale and offset per channel, one row each."""

    @property
    def factored(self) -> bool:
        """False: the columns are kept entry by entry."""
        return False

    @cached_property
    def shape(self) -> tuple[int, int]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Control shape: one row per parameter, one column per channel."""
        parameters = self.parameters
        return len(parameters), parameters[0].numel()

    def split(self, control: Tensor) -> list[Tensor]:
        """Split a control matrix into the shapes of `parameters`.

        Args:
            control: Shape (o, i).

        Returns:
            Its rows.
        """
        return [row.view(p.shape) for row, p in zip(control, self.parameters, strict=True)]

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Join tensors of the shapes of `parameters` into one control matrix.

        Args:
            parts: Scale and offset, as far as they are controls.

        Returns:
            Shape (o, i).
        """
        return torch.stack([part.flatten() for part in parts])

    def factors(self, x: Tensor) -> Tensor:
        """Normalise an input.

        Args:
            x: Input of the layer.

        Returns:
            Shape (B, S, i).
        """
        return self._by_channel(_normalised(self.module, x.detach()))

    def left(self, grad: Tensor) -> Tensor:
        """Order (R, B, ...) by positions.

        Args:
            grad: What columns give back at the output.

        Returns:
            Shape (R, B, S, i).
        """
        return self._by_channel(grad.flatten(0, 1)).unflatten(0, grad.shape[:2])

    def columns(self, left: Tensor, factors: Tensor) -> DenseColumns:
        """Give the columns, summed over positions and, where channels share a slope, over them.

        Args:
            left: Shape (R, B, S, i).
            factors: Shape (B, S, i).

        Returns:
            One row per parameter.
        """
        rows = {
            "weight": lambda: torch.einsum("rbsi,bsi->rbi", left, factors),
            "bias": lambda: left.sum(2),
        }
        values = torch.stack([rows[name]() for name in self.names], dim=2)
        if values.shape[-1] != self.shape[1]:
            values = values.sum(-1, keepdim=True)
        return DenseColumns(values)

    def _by_channel(self, x: Tensor) -> Tensor:
        if isinstance(self.module, (*_LAST_NORMS, LastOffset)):
            return x.reshape(x.shape[0], -1, self.parameters[0].numel())
        return x.unsqueeze(1) if x.ndim == 2 else x.flatten(2).mT


@dataclass(frozen=True)
class EmbeddingControl(NetworkControl):
    """The table of an embedding."""

    module: nn.Embedding

    @property
    def factored(self) -> bool:
        """False: the columns are rows of a table."""
        return False

    @cached_property
    def shape(self) -> tuple[int, int]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Control shape: the table's."""
        return self.module.num_embeddings, self.module.embedding_dim

    def split(self, control: Tensor) -> list[Tensor]:
        """Give the table.

        Args:
            control: Shape (V, d).

        Returns:
            The same.
        """
        return [control]

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Give the control matrix.

        Args:
            parts: The table.

        Returns:
            The same.
        """
        return parts[0]

    def factors(self, x: Tensor) -> Tensor:
        """Give the rows that are looked up.

        Args:
            x: Row numbers, shape (B, ...).

        Returns:
            Shape (B, S).
        """
        return x.reshape(x.shape[0], -1)

    def left(self, grad: Tensor) -> Tensor:
        """Bring (R, B, ..., d) to (R, B, S, d).

        Args:
            grad: What columns give back at the output.

        Returns:
            What reaches each position.
        """
        return grad.reshape(*grad.shape[:2], -1, grad.shape[-1])

    def columns(self, left: Tensor, factors: Tensor) -> RowColumns:
        """Give the columns; the row of the padding is not moved.

        Args:
            left: Shape (R, B, S, d).
            factors: Shape (B, S).

        Returns:
            Columns by rows.
        """
        padding = self.module.padding_idx
        if padding is not None:
            left = left * (factors != padding)[..., None]
        return RowColumns(left, factors, self.module.num_embeddings)


def _normalised(layer: nn.Module, x: Tensor) -> Tensor:
    """Give the input as the layer scales it."""
    match layer:
        case nn.LayerNorm():
            return F.layer_norm(x, layer.normalized_shape, eps=layer.eps)
        case nn.RMSNorm():
            return F.rms_norm(x, layer.normalized_shape, eps=layer.eps)
        case nn.GroupNorm():
            return F.group_norm(x, layer.num_groups, eps=layer.eps)
        case Offset():
            return x
        case nn.PReLU():
            return x.clamp_max(0)
        case nn.BatchNorm1d() | nn.BatchNorm2d() | nn.BatchNorm3d():
            if couples_samples(layer):
                return F.batch_norm(x, None, None, training=True, eps=layer.eps)
            return F.batch_norm(x, layer.running_mean, layer.running_var, eps=layer.eps)
        case nn.InstanceNorm1d() | nn.InstanceNorm2d() | nn.InstanceNorm3d():
            own = layer.training or not layer.track_running_stats
            return F.instance_norm(
                x,
                None if own else layer.running_mean,
                None if own else layer.running_var,
                use_input_stats=own,
                eps=layer.eps,
            )
        case _:
            raise TypeError(f"no normalisation: {type(layer).__name__}")
