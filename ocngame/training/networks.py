"""Networks of the supervised job: a plain one, a residual one, or the user's own."""

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from ocngame.errors import InvalidInputError, OcnGameError, UnknownNameError

__all__ = ["Residual", "build_network"]

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class Residual(nn.Module):
    """A linear layer and an activation beside a skip edge, `x + activation(W x + b)`."""

    def __init__(self, width: int, activation: Callable[[], nn.Module]):
        """Make the layer.

        Args:
            width: Size of the state.
            activation: Makes the activation.
        """
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        """Give the next state, shape (..., width)."""
        return x + self.activation(self.linear(x))


def build_network(
    model: str,
    *,
    features: int,
    classes: int,
    width: int,
    depth: int,
    activation: str,
    seed: int,
) -> nn.Module:
    """Build a network with repeatable weights; torch's global generator is left as it was.

    Args:
        model: "mlp", "residual" or "module:function".
        features: Number of inputs.
        classes: Number of outputs.
        width: Width of the hidden layers (not for a network of the user's).
        depth: Number of hidden layers (likewise).
        activation: Name of the activation (likewise).
        seed: Seed of the weights.

    Returns:
        The network.

    Raises:
        InvalidInputError: if the user's function cannot be found, fails or gives no module.
        UnknownNameError: if there is no network of this name.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if ":" in model:
            return _user_network(model, features, classes)
        act = _ACTIVATIONS[activation]
        if model == "mlp":
            sizes = [features] + [width] * depth
            layers = [layer for i, o in pairwise(sizes) for layer in (nn.Linear(i, o), act())]
            return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))
        if model == "residual":
            blocks = [Residual(width, act) for _ in range(depth)]
            return nn.Sequential(nn.Linear(features, width), *blocks, nn.Linear(width, classes))
    raise UnknownNameError("model", model, ["mlp", "residual", "module:function"])


def _takes_nothing(function: Callable[..., nn.Module]) -> bool:
    """Whether a function can only be called without arguments, or is a class that can be."""
    try:
        signature = inspect.signature(function)
        signature.bind()
    except (TypeError, ValueError):
        return False
    return isinstance(function, type) or not signature.parameters


def _user_network(model: str, features: int, classes: int) -> nn.Module:
    module_name, _, function_name = model.partition(":")
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        function = getattr(import_module(module_name), function_name)
        network = function() if _takes_nothing(function) else function(features, classes)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        if isinstance(error, OcnGameError):
            raise
        raise InvalidInputError(
            f"model: expected module:function with function(features, classes), got {model!r} "
            f"({error})"
        ) from error
    finally:
        if added:
            sys.path.remove(here)
    if not isinstance(network, nn.Module):
        raise InvalidInputError(
            f"model: expected {model!r} to give a torch module, got {type(network).__name__}"
        )
    return network
