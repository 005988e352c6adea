"""Linear layers that share a weight: one control, used by several stages, and offsets beside it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import nn

from ocngame.games.twins import LastOffset, SharedLinear, Traced, Twin

__all__ = ["tied_twins"]


def tied_twins(module: nn.Module, layers: Sequence[nn.Linear]) -> list[Twin]:
    """Give the twins of linear layers whose weight other linear layers have too.

    Args:
        module: The network.
        layers: Its plain linear layers.

    Returns:
        One twin per layer with a shared weight; those of one weight use the same layer. A weight
        that a layer of another kind has as well has none.
    """
    owners: dict[nn.Parameter, set[nn.Module]] = {}
    for part in module.modules():
        for parameter in part.parameters(recurse=False):
            owners.setdefault(parameter, set()).add(part)
    known, twins = set(layers), []
    shared: dict[nn.Parameter, nn.Module] = {}
    for layer in layers:
        own = dict(layer.named_parameters(recurse=False))
        weight = own["weight"]
        if len(owners[weight]) == 1 or not owners[weight] <= known:
            continue
        parts = {"tied": shared.setdefault(weight, SharedLinear(weight, None))}
        if layer.bias is not None:
            parts["offset"] = shared.setdefault(layer.bias, LastOffset(layer.bias))
        twins.append(Twin(layer, partial(_forward, layer, "offset" in parts), parts))
    return twins


def _forward(self: Any, offset: bool, x: Traced) -> Traced:
    x = self.tied(x)
    return self.offset(x) if offset else x
