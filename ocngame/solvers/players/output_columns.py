r"""Columns of a player's cost at the outputs of its network: what its curvature is made of.

With y_kb the output of call k on sample b, f the player's cost as a function of these outputs, and
B the number of samples of all calls together, the Gauss-Newton block of f is

    (1/B) sum_kb Z_kb Z_kb',     Z_kb = (dy_kb/du)' E_kb,     E_kb E_kb' = B  d^2 f / dy_kb^2

per sample and without the factor 1/B, as in `ocngame.curvature`; for a mean loss over one call this
is the loss's own output Hessian. Costs of players need not be convex in their outputs (a generator
acts through a discriminator), so of every sample's Hessian the positive part is taken:

* `HessianColumns`: `E = sqrt(C / R) W V sqrt(max(theta, 0))`, `W' (B d^2 f/dy^2) W = V theta V'`,
  with W (C, R) orthonormal. R = C gives the whole positive part; fewer columns look at a random
  subspace, whose trace is right on average. The products with W are backward passes through what
  stands between the output and the cost. They add up over samples, so what one sample's output does
  to another's gradient counts to the other's.
* `GradientColumns`: `E = B df/dy`, one column, the outer product of gradients (2002.08809, the
  rank-one start). It is what remains where costs have no curvature in the outputs (Wasserstein).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import integer

__all__ = ["GradientColumns", "HessianColumns", "OutputColumns"]


class OutputColumns(ABC):
    """Chooses the columns at the outputs of a player's calls."""

    @abstractmethod
    def columns(self, cost: Tensor, outputs: Sequence[Tensor], step: int) -> list[Tensor | None]:
        """Give the columns.

        Args:
            cost: The player's cost, with its graph.
            outputs: Outputs of the calls, shape (B_k, ...).
            step: Number of the measurement; seeds what is random.

        Returns:
            Shape (R, B_k, ...) per call, None for a call that the cost does not depend on.
        """


@dataclass(frozen=True, kw_only=True)
class HessianColumns(OutputColumns):
    """The positive part of every sample's Hessian.

    Attributes:
        count: Most columns R per sample.
        seed: Seed of the subspaces where outputs have more than R entries.
    """

    count: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("count", self.count, low=1)
        integer("seed", self.seed, low=0)

    def columns(self, cost: Tensor, outputs: Sequence[Tensor], step: int) -> list[Tensor | None]:
        """Give the columns."""
        slopes = _slopes(cost, outputs, create_graph=True)
        total = _samples(outputs, slopes)
        return [
            None if slope is None else self._roots(slope, output, total, step)
            for slope, output in zip(slopes, outputs, strict=True)
        ]

    def _roots(self, slope: Tensor, output: Tensor, total: int, step: int) -> Tensor:
        size = output[0].numel()
        basis = self._basis(size, step, output)
        shaped = [column.view_as(output[0]).expand_as(output) for column in basis.mT]
        products = [_product(slope, output, column) for column in shaped]
        inner = torch.stack(products, 2).mT @ basis * total
        values, vectors = torch.linalg.eigh(0.5 * (inner + inner.mT))
        roots = vectors * values.clamp_min(0).sqrt().unsqueeze(-2)
        scale = (size / basis.shape[1]) ** 0.5
        return (scale * basis @ roots).permute(2, 0, 1).reshape(-1, *output.shape)

    def _basis(self, size: int, step: int, like: Tensor) -> Tensor:
        """Give W, shape (C, R)."""
        if size <= self.count:
            return torch.eye(size).to(like)
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + step) & (2**63 - 1))
        drawn = torch.randn(size, self.count, generator=generator, dtype=torch.float64)
        return torch.linalg.qr(drawn).Q.to(like)


@dataclass(frozen=True, kw_only=True)
class GradientColumns(OutputColumns):
    """Every sample's gradient as the only column."""

    def columns(self, cost: Tensor, outputs: Sequence[Tensor], step: int) -> list[Tensor | None]:
        """Give the gradients."""
        slopes = _slopes(cost, outputs, create_graph=False)
        total = _samples(outputs, slopes)
        return [None if slope is None else total * slope.unsqueeze(0) for slope in slopes]


def _slopes(cost: Tensor, outputs: Sequence[Tensor], *, create_graph: bool) -> list[Tensor | None]:
    if not cost.requires_grad:
        return [None] * len(outputs)
    found = torch.autograd.grad(
        cost, list(outputs), create_graph=create_graph, retain_graph=True, allow_unused=True
    )
    return list(found)


def _samples(outputs: Sequence[Tensor], slopes: Sequence[Tensor | None]) -> int:
    pairs = zip(outputs, slopes, strict=True)
    return sum(len(output) for output, slope in pairs if slope is not None)


def _product(slope: Tensor, output: Tensor, weights: Tensor) -> Tensor:
    """Give every sample's `(d^2 f / dy^2) w`, shape (B, C)."""
    if not slope.requires_grad:
        return torch.zeros_like(output).flatten(1)
    (found,) = torch.autograd.grad(slope, output, weights, retain_graph=True, allow_unused=True)
    return (torch.zeros_like(output) if found is None else found).flatten(1).detach()
