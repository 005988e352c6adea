r"""Output Hessian of any convex loss, measured on the loss of the batch at hand.

For a loss that is a mean over samples, `loss = (1/B) sum_b phi_b(y_b)`, the Hessian of a sample is
`B` times the second derivative of the loss by its output. The gradient `g = d loss / d y` is linear
in nothing but its own sample, so that N derivatives of `sum_b g_bn`, one for each of the N entries
of an output and all in one batched pass, give the Hessians of all samples. Their factor is the
symmetric root `E = V sqrt(d) V'` of `phi_yy = V diag(d) V'`. It is exact, and takes N^2 numbers and
N^3 operations per sample: a way for few outputs, or for losses without a formula.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ocngame._checks import integer
from ocngame.curvature.output_hessian import OutputHessian
from ocngame.errors import InvalidInputError

__all__ = ["LossHessian"]

_ROUNDING = 1e-4
"""Part of the largest eigenvalue below which a negative one is rounding."""


@dataclass(frozen=True, kw_only=True)
class LossHessian(OutputHessian):
    """Hessian of a loss that is convex in the output, by automatic differentiation.

    Attributes:
        lower_bound: A number that the loss cannot fall below, None if there is none.
        widest: Most entries that the output of a sample may have.
        roots: Symmetric roots of the samples' Hessians, shape (B, N, N); None until `of_batch`.
    """

    lower_bound: float | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    widest: int = 256
    roots: Tensor | None = None

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("widest", self.widest, low=1)

    def of_batch(self, loss: Tensor, output: Tensor) -> "LossHessian":
        """Measure the Hessians of a batch.

        Args:
            loss: Mean loss, attached to the graph.
            output: Network output that it was computed from, shape (B, ...).

        Returns:
            The same settings with roots.

        Raises:
            InvalidInputError: if there are too many outputs, or the loss is not convex in them, or
                has no curvature at all.
        """
        size = output[0].numel()
        if size > self.widest:
            raise InvalidInputError(
                f"model: expected at most {self.widest} outputs per sample for a measured output "
                f"Hessian, got {size}"
            )
        (gradient,) = torch.autograd.grad(loss, output, create_graph=True)
        hessian = len(output) * _derivatives(gradient, output).detach()
        values, vectors = torch.linalg.eigh(hessian.double())
        largest = float(values.abs().max())
        if largest == 0.0:
            raise InvalidInputError(
                "loss: expected one with curvature in the output, got a loss that is linear there"
            )
        if float(values.min()) < -_ROUNDING * largest:
            raise InvalidInputError(
                "loss: expected one that is convex in the output, got the curvature "
                f"{float(values.min()):.3g} along a direction; pass hessian= for it"
            )
        roots = vectors * values.clamp_min(0).sqrt().unsqueeze(1) @ vectors.mT
        dtype = torch.float32 if output.dtype == torch.bfloat16 else output.dtype
        return replace(self, roots=roots.to(dtype))

    def root(self, output: Tensor, right: Tensor) -> Tensor:
        """Give `E right`.

        Args:
            output: Network output, shape (B, ...).
            right: Shape (R, B, ...).

        Returns:
            The shape of `right`.

        Raises:
            InvalidInputError: if no batch has been measured.
        """
        if self.roots is None:
            raise InvalidInputError("hessian: expected a measured batch, got none; call of_batch")
        flat = right.flatten(2) if right.ndim > 2 else right.unsqueeze(-1)
        return torch.einsum("bij,rbj->rbi", self.roots.to(right.dtype), flat).view_as(right)


def _derivatives(gradient: Tensor, output: Tensor) -> Tensor:
    """Give the derivative of every entry of a sample's gradient by its output, (B, N, N)."""
    samples, size = output.shape[0], output[0].numel()
    if not gradient.requires_grad:
        return output.new_zeros(samples, size, size)
    eye = torch.eye(size, dtype=output.dtype, device=output.device)
    seeds = eye.view(size, 1, *output.shape[1:]).expand(size, *output.shape)
    (rows,) = torch.autograd.grad(
        gradient,
        output,
        seeds,
        retain_graph=True,
        is_grads_batched=True,
        allow_unused=True,
        materialize_grads=True,
    )
    return rows.reshape(size, samples, size).transpose(0, 1)
