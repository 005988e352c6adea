"""The samples of a segment, laid out as a kind of network needs them, and their minibatches.

Networks that all agents share and that remember nothing take rows: `[M, ...]`, one for every
action that counts. Separate networks take `[T B, A, ...]`, recurrent ones whole sequences
`[T, B, A, ...]`, and both have weights where an action does not count. Minibatches divide the first
axis, or the copies of sequences.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from torch import Tensor

__all__ = ["Layout", "Samples"]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How samples lie.

    Attributes:
        rows: Whether agents are rows of their own.
        sequences: Whether steps stay in order.
    """

    rows: bool
    sequences: bool


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Samples in one layout.

    Attributes:
        x: Inputs of the policy's body.
        critic_x: Inputs of the critic's body.
        masks: Allowed actions, or None.
        choices: As the head drew them.
        old: Log-probabilities when they were drawn.
        advantages: What they were worth.
        values: In the critic's units, before the update.
        targets: Returns in the critic's units.
        weight: 0 where an action does not count; None where all do.
    """

    x: Tensor
    critic_x: Tensor
    masks: Tensor | None
    choices: Tensor
    old: Tensor
    advantages: Tensor
    values: Tensor
    targets: Tensor
    weight: Tensor | None

    def laid_out(self, layout: Layout, valid: Tensor) -> "Samples":
        """Lay samples out that lie as sequences.

        Args:
            layout: How.
            valid: [T, B, A], bool.

        Returns:
            The samples.
        """
        every = bool(valid.all())
        if layout.sequences:
            return self._with(lambda v: v, None if every else valid.to(self.old))
        if not layout.rows:
            weight = None if every else valid.to(self.old).flatten(0, 1)
            return self._with(lambda v: v.flatten(0, 1), weight)
        if every:
            return self._with(lambda v: v.flatten(0, 2), None)
        return self._with(lambda v: v[valid], None)

    def minibatches(
        self, count: int, axis: int, generator: torch.Generator
    ) -> Iterator[tuple["Samples", Tensor | None]]:
        """Divide at random.

        Args:
            count: Number of minibatches, at most the size of the axis.
            axis: To divide.
            generator: For the order.

        Yields:
            A minibatch and the numbers of its entries; None for all in order.
        """
        size = self.old.shape[axis]
        if count == 1:
            yield self, None
            return
        order = torch.randperm(size, generator=generator, device=generator.device)
        for chosen in order.tensor_split(min(count, size)):
            yield (
                self._with(lambda v, i=chosen: v.index_select(axis, i), self._weight(axis, chosen)),
                chosen,
            )

    def _weight(self, axis: int, chosen: Tensor) -> Tensor | None:
        return None if self.weight is None else self.weight.index_select(axis, chosen)

    def _with(self, change, weight: Tensor | None) -> "Samples":
        values = {
            f.name: None if (value := getattr(self, f.name)) is None else change(value)
            for f in fields(self)
            if f.name != "weight"
        }
        return Samples(**values, weight=weight)  # pyright: ignore[reportArgumentType]
