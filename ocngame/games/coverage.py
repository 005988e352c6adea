"""Which layers have a control, and which one."""

from torch import nn

from ocngame.games.entry_controls import SCALED, EmbeddingControl, ScaleControl
from ocngame.games.matrix_controls import ConvolutionControl, LinearControl
from ocngame.games.network_control import NetworkControl
from ocngame.games.stage import StageKind
from ocngame.games.transposed_control import TransposedControl
from ocngame.games.twins import Offset

__all__ = ["control_kind", "network_control"]


def control_kind(layer: nn.Module) -> StageKind | None:
    """Say what kind of stage with a control a layer is.

    Args:
        layer: The layer.

    Returns:
        The kind, None if its parameters, if it has any, are no control of a stage.
    """
    if isinstance(layer, Offset):
        return StageKind.ELEMENTWISE
    if not _plain(layer):
        return None
    match layer:
        case nn.Linear():
            return StageKind.LINEAR
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            return StageKind.CONVOLUTION
        case nn.ConvTranspose1d() | nn.ConvTranspose2d() | nn.ConvTranspose3d():
            return StageKind.CONVOLUTION if layer.groups == 1 and layer.bias is None else None
        case nn.Embedding():
            plain = layer.max_norm is None and not layer.scale_grad_by_freq and not layer.sparse
            return StageKind.EMBEDDING if plain else None
        case nn.PReLU():
            return StageKind.ELEMENTWISE
        case _ if isinstance(layer, SCALED):
            return StageKind.NORMALISATION
    return None


def network_control(path: str, layer: nn.Module) -> NetworkControl:
    """Give the control of a layer.

    Args:
        path: The layer's module path.
        layer: A layer that has a control.

    Returns:
        Its control.

    Raises:
        TypeError: if it has none.
    """
    match layer:
        case nn.Linear():
            return LinearControl(path, layer)
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            return ConvolutionControl(path, layer)
        case nn.ConvTranspose1d() | nn.ConvTranspose2d() | nn.ConvTranspose3d():
            return TransposedControl(path, layer)
        case nn.Embedding():
            return EmbeddingControl(path, layer)
        case _ if isinstance(layer, (*SCALED, Offset)):
            return ScaleControl(path, layer)
    raise TypeError(f"{path}: {type(layer).__name__} has no control")


def _plain(layer: nn.Module) -> bool:
    """Whether a layer of torch computes with a weight of its own, as torch defines it."""
    kind = next((k for k in type(layer).__mro__ if k.__module__.startswith("torch.nn.mod")), None)
    own = isinstance(dict(layer.named_parameters(recurse=False)).get("weight"), nn.Parameter)
    return own and kind is not None and type(layer).forward is kind.forward
