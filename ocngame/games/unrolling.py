"""Which modules have twins."""

from collections.abc import Collection
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ocngame.games.attention import attention_twin
from ocngame.games.continuous.block import NeuralODE
from ocngame.games.continuous.twin import solver_twin
from ocngame.games.coverage import control_kind
from ocngame.games.recurrent import recurrent_twin
from ocngame.games.tied import tied_twins
from ocngame.games.transformer import TRANSFORMERS, transformer_twin
from ocngame.games.twins import HasTwin, Offset, Traced, Twin

__all__ = ["find_twins"]


def find_twins(
    module: nn.Module,
    example: Tensor | tuple[Tensor, ...] | None,
    blocks: Collection[type[nn.Module] | str] = (),
) -> list[Twin]:
    """Give the twins of all modules that have one.

    Args:
        module: The network.
        example: An example input, which tells recurrent layers their number of time steps; None
            for one step.
        blocks: Classes or paths of modules that shall stay as they are.

    Returns:
        The twins.
    """
    types = tuple(block for block in blocks if not isinstance(block, str))
    paths = tuple(block for block in blocks if isinstance(block, str))
    kept = [
        layer
        for path, layer in module.named_modules()
        if not isinstance(layer, types)
        and not any(path == block or path.startswith(f"{block}.") for block in paths)
    ]
    steps: dict[nn.Module, int] = {}
    if example is not None:
        steps = _time_steps(
            [layer for layer in kept if isinstance(layer, nn.RNNBase)], module, example
        )
    twins = [_twin(layer, steps.get(layer, 1)) for layer in kept]
    linear = [layer for layer in kept if isinstance(layer, nn.Linear) and control_kind(layer)]
    return [*(twin for twin in twins if twin is not None), *tied_twins(module, linear)]


def _twin(layer: nn.Module, steps: int) -> Twin | None:
    """Give the twin of a module that says it, or of torch's own, not of subclasses of these."""
    if isinstance(layer, HasTwin):
        return layer.twin()
    if isinstance(layer, NeuralODE):
        return solver_twin(layer)
    if type(layer) in TRANSFORMERS:
        return transformer_twin(layer)
    if type(layer) is nn.MultiheadAttention:
        return attention_twin(layer)
    if isinstance(layer, nn.RNNBase) and type(layer) in {nn.RNN, nn.GRU, nn.LSTM}:
        return recurrent_twin(layer, steps)
    if type(layer) in _TRANSPOSED and layer.bias is not None:
        return _offset_twin(layer)
    return None


_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def _offset_twin(layer: Any) -> Twin:
    """Part a transposed convolution into its kernel and its offset."""
    kernel = type(layer)(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.output_padding,
        layer.groups,
        bias=False,
        dilation=layer.dilation,
        device="meta",
    )
    kernel.weight = layer.weight
    return Twin(
        layer, partial(_offset_forward, layer), {"kernel": kernel, "offset": Offset(layer.bias)}
    )


def _offset_forward(self: Any, x: Traced, output_size: list[int] | None = None) -> Traced:
    return self.offset(self.kernel(x, output_size))


@torch.no_grad()
def _time_steps(
    layers: list[nn.RNNBase], module: nn.Module, example: Tensor | tuple[Tensor, ...]
) -> dict[nn.Module, int]:
    """Run the network once and see how long each recurrent layer's sequences are."""
    steps: dict[nn.Module, int] = {}

    def hook(layer: Any, args: tuple[Any, ...]) -> None:
        if isinstance(args[0], Tensor) and args[0].ndim == 3:
            steps[layer] = args[0].shape[1 if layer.batch_first else 0]

    if not layers:
        return steps
    modes = {part: part.training for part in module.modules()}
    handles = [layer.register_forward_pre_hook(hook) for layer in layers]
    module.eval()
    try:
        module(*(example if isinstance(example, tuple) else (example,)))
    finally:
        for handle in handles:
            handle.remove()
        for part, training in modes.items():
            part.training = training
    return steps
