r"""Roll a network game out and backpropagate output columns to its stages.

For a stage with matrix control `h = U x_bar` (`x_bar` is the input with a one appended where the
stage has an offset), a column `e` at the output gives, per sample, `g = (dy/dh)' e` and the control
derivative `z_u = g x_bar'`. One batched backward pass serves all columns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ocngame.errors import InvalidInputError
from ocngame.games.stage import Stage
from ocngame.linalg import OuterColumns

__all__ = ["NetworkControl", "Rollout", "record_rollout"]


@dataclass(frozen=True)
class NetworkControl:
    """The matrix-shaped control of a network stage: weight, and offset as last column.

    Attributes:
        stage: The stage's name.
        module: The layer that holds the parameters.
    """

    stage: str
    module: nn.Linear

    @property
    def trained(self) -> tuple[bool, bool]:
        """Whether the weight and the offset are controls (they exist and are not frozen)."""
        bias = self.module.bias
        return self.module.weight.requires_grad, bias is not None and bias.requires_grad

    @property
    def shape(self) -> tuple[int, int]:
        """Control shape (o, i)."""
        weight, bias = self.trained
        return self.module.out_features, self.module.in_features * weight + bias

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters behind the control."""
        return [p for p in self.module.parameters(recurse=False) if p.requires_grad]

    def split(self, control: Tensor) -> list[Tensor]:
        """Split a control matrix into the shapes of `parameters`.

        Args:
            control: Shape (o, i).

        Returns:
            Views of the weight part and of the offset part, as far as they are controls.
        """
        weight, bias = self.trained
        if not bias:
            return [control]
        return [control[:, :-1], control[:, -1]] if weight else [control[:, -1]]

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Join tensors of the shapes of `parameters` into one control matrix.

        Args:
            parts: Weight-shaped and offset-shaped tensor, as far as they are controls.

        Returns:
            Shape (o, i).
        """
        return torch.cat([part if part.ndim == 2 else part.unsqueeze(1) for part in parts], dim=1)

    def augment(self, x: Tensor) -> Tensor:
        """Bring a stage input to shape (batch, positions, i), with ones appended for an offset.

        Args:
            x: Input of the layer, shape (batch, ..., in_features).

        Returns:
            Input factors.
        """
        weight, bias = self.trained
        x = x.detach().reshape(x.shape[0], -1, x.shape[-1])
        if not bias:
            return x
        ones = torch.ones_like(x[..., :1])
        return torch.cat([x, ones], -1) if weight else ones


@dataclass(frozen=True)
class Rollout:
    """A recorded forward pass.

    Attributes:
        output: Network output, attached to the graph.
        controls: Stages with a control in the order of their first use.
        inputs: Input factors (batch, positions, i) of each of these stages.
        activations: Pre-activations of each stage, attached to the graph; one per use.
    """

    output: Tensor
    controls: list[NetworkControl]
    inputs: list[Tensor]
    activations: list[list[Tensor]]

    def backpropagate(self, columns: Tensor) -> list[OuterColumns]:
        """Backpropagate output columns to the controls.

        Args:
            columns: Shape (R, *output.shape); every column covers all samples.

        Returns:
            The columns of each control stage.

        Raises:
            InvalidInputError: if the output does not depend on a stage's control.
        """
        flat = [h for uses in self.activations for h in uses]
        batched = columns.shape[0] > 1
        grads = torch.autograd.grad(
            self.output,
            flat,
            columns if batched else columns[0],
            retain_graph=True,
            is_grads_batched=batched,
            allow_unused=True,
        )
        result, start = [], 0
        for control, x, uses in zip(self.controls, self.inputs, self.activations, strict=True):
            left = []
            for grad in grads[start : start + len(uses)]:
                if grad is None:
                    raise InvalidInputError(
                        f"model: expected an output that depends on stage {control.stage!r}, "
                        "got one that does not"
                    )
                grad = grad if batched else grad.unsqueeze(0)
                left.append(grad.reshape(*grad.shape[:2], -1, grad.shape[-1]))
            start += len(uses)
            result.append(OuterColumns(left[0] if len(left) == 1 else torch.cat(left, 2), x))
        return result


def record_rollout(
    module: nn.Module, stages: Sequence[Stage], forward: Callable[[], Tensor]
) -> Rollout:
    """Run a forward pass and record what its control stages saw.

    Args:
        module: The network.
        stages: Its stages with a control; their operation is the layer's module path. Stages whose
            parameters are all frozen are left out.
        forward: Runs the network and returns its output; called once.

    Returns:
        The recorded rollout.

    Raises:
        InvalidInputError: if a stage was not reached by the forward pass.
    """
    layers = {stage.operation: module.get_submodule(stage.operation) for stage in stages}
    layers = {
        path: layer
        for path, layer in layers.items()
        if any(parameter.requires_grad for parameter in layer.parameters())
    }
    seen: dict[nn.Module, tuple[list[Tensor], list[Tensor]]] = {
        layer: ([], []) for layer in layers.values()
    }

    def hook(layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        inputs, outputs = seen[layer]
        inputs.append(args[0])
        outputs.append(output)

    handles = [layer.register_forward_hook(hook) for layer in seen]
    try:
        output = forward()
    finally:
        for handle in handles:
            handle.remove()
    controls, inputs, activations = [], [], []
    for path, layer in layers.items():
        if layer not in seen:
            continue
        args, outputs = seen.pop(layer)
        if not outputs:
            raise InvalidInputError(f"model: the forward pass did not reach stage {path!r}")
        control = NetworkControl(path, layer)  # pyright: ignore[reportArgumentType]
        factors = [control.augment(x) for x in args]
        controls.append(control)
        inputs.append(factors[0] if len(factors) == 1 else torch.cat(factors, 1))
        activations.append(outputs)
    return Rollout(output, controls, inputs, activations)
