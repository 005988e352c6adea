r"""Choices among finitely many actions, in one part or in several independent ones.

Outputs are logits, the parts one after the other; each part j has a softmax of its own, `p_j`.
`log p = sum_j log p_j`, entropy and divergence are sums over the parts, and the Fisher matrix is
block diagonal with the blocks `diag(p_j) - p_j p_j' = E E'`, `E = diag(sqrt p) - p sqrt(p)'`.

Draws use that `argmax_i (log p_i - log e_i)` has distribution p for independent exponentials e_i.
An action that is not allowed has its logit set to a large negative number, so that its probability
and the derivatives through it are exactly zero; where nothing is allowed (an agent that does not
act), the distribution is uniform and of no consequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.agents.networks.head import Head
from ocngame.curvature import OutputHessian
from ocngame.errors import InvalidInputError

__all__ = ["CategoricalHead"]

_NEVER = -1e9


class CategoricalHead(Head):
    """Independent softmaxes."""

    def __init__(self, sizes: Sequence[int], *, several: bool):
        """Keep the sizes.

        Args:
            sizes: Number of actions of every part.
            several: Whether choices have an axis for the parts; without it there is one part.

        Raises:
            InvalidInputError: if there is not one part for choices without the axis.
        """
        if not several and len(sizes) != 1:
            raise InvalidInputError(f"sizes: expected one number, got {list(sizes)}")
        self.sizes = tuple(int(size) for size in sizes)
        self.size = sum(self.sizes)
        self._several = several

    def allow(self, outputs: Tensor, mask: Tensor | None) -> Tensor:
        """Set logits of forbidden actions to a large negative number; see `Head.allow`."""
        return outputs if mask is None else torch.where(mask, outputs, _NEVER)

    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw by exponential races; see `Head.draw`."""
        race = torch.empty_like(outputs).exponential_(generator=generator)
        return self.most_probable(outputs - race.log_())

    def most_probable(self, outputs: Tensor) -> Tensor:
        """Give the largest logit of each part; see `Head.most_probable`."""
        if not self._several:
            return outputs.argmax(-1)
        return torch.stack([part.argmax(-1) for part in outputs.split(self.sizes, -1)], -1)

    def score(self, outputs: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
        """Sum over the parts; see `Head.score`."""
        choice = choice if self._several else choice.unsqueeze(-1)
        logs, entropies = [], []
        for j, part in enumerate(outputs.split(self.sizes, -1)):
            log = part.log_softmax(-1)
            logs.append(log.gather(-1, choice[..., j : j + 1]).squeeze(-1))
            entropies.append(-(log.exp() * log).sum(-1))
        if len(logs) == 1:
            return logs[0], entropies[0]
        return torch.stack(logs).sum(0), torch.stack(entropies).sum(0)

    def divergence(self, before: Tensor, after: Tensor) -> Tensor:
        """Sum over the parts; see `Head.divergence`."""
        found = torch.zeros_like(before[..., 0])
        for p, q in zip(before.split(self.sizes, -1), after.split(self.sizes, -1), strict=True):
            logs = p.log_softmax(-1)
            found = found + (logs.exp() * (logs - q.log_softmax(-1))).sum(-1)
        return found

    def fisher(self) -> OutputHessian:
        """Give the blocks `diag(p) - p p'`."""
        return _SoftmaxesFisher(self.sizes)


@dataclass(frozen=True)
class _SoftmaxesFisher(OutputHessian):
    sizes: tuple[int, ...]

    def root(self, output: Tensor, right: Tensor) -> Tensor:
        parts = []
        pairs = zip(output.split(self.sizes, -1), right.split(self.sizes, -1), strict=True)
        for logits, vectors in pairs:
            p = logits.detach().softmax(-1)
            scaled = p.sqrt() * vectors
            parts.append(scaled - p * scaled.sum(-1, keepdim=True))
        return parts[0] if len(parts) == 1 else torch.cat(parts, -1)
