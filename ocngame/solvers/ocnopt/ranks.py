r"""Several processes that share a batch: `DistributedDataParallel`.

Rank k of K holds B samples of a batch of K B. The loss of the whole batch is the mean of the ranks'
mean losses, and DDP averages the gradients accordingly. Curvature belongs to samples, so what is
left is to let every rank know the columns of all: the output columns are drawn once for the whole
batch (the same random signs everywhere, each rank taking those of its own samples), run back
through each rank's own pass, and are gathered. From there on every rank computes the same step from
the same numbers, and it is the step of one process that has the whole batch.

What is sent at a step that measures is the columns: for a linear layer (o + i) numbers per sample
and output column, for a convolution as many per position.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ocngame.curvature import ColumnRule, LossHessian, OutputHessian
from ocngame.errors import InvalidInputError, UnsupportedModuleError
from ocngame.games.graph import GameGraph
from ocngame.linalg import Columns, joined_samples
from ocngame.solvers.ocnopt.config import OCNOptConfig, Sweep

__all__ = ["OneRank", "Ranks", "SharedBatch", "require_supported", "unwrapped"]

_OTHER_WRAPPERS = {"DataParallel", "FullyShardedDataParallel", "FSDPModule"}


class Ranks(ABC):
    """The processes that a batch is spread over."""

    @abstractmethod
    def mean(self, loss: Tensor) -> Tensor:
        """Give the mean of a number over the ranks."""

    @abstractmethod
    def samples(self, output: Tensor) -> int:
        """Give the number of samples of the whole batch."""

    @abstractmethod
    def seeds(
        self,
        rule: ColumnRule,
        hessian: OutputHessian,
        output: Tensor,
        gradient: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Give the output columns of this rank's samples.

        Args:
            rule: Rule of the columns.
            hessian: Output Hessian of the loss.
            output: Output of this rank's samples, shape (B, ..., C).
            gradient: Gradient of every sample's loss at the output, or None.
            generator: Source of random signs, in the same state on all ranks.
        """

    @abstractmethod
    def gathered(self, columns: list[Columns]) -> list[Columns]:
        """Give the columns of all ranks' samples, in the order of the ranks."""


@dataclass(frozen=True)
class OneRank(Ranks):
    """One process that has the whole batch."""

    def mean(self, loss: Tensor) -> Tensor:
        """Give the number itself."""
        return loss

    def samples(self, output: Tensor) -> int:
        """Give the number of samples."""
        return len(output)

    def seeds(
        self,
        rule: ColumnRule,
        hessian: OutputHessian,
        output: Tensor,
        gradient: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Give the output columns."""
        return rule.columns(hessian, output, gradient, generator)

    def gathered(self, columns: list[Columns]) -> list[Columns]:
        """Give the columns themselves."""
        return columns


@dataclass(frozen=True)
class SharedBatch(Ranks):
    """The ranks of a process group, each with as many samples.

    Attributes:
        group: The process group.
    """

    group: Any

    def mean(self, loss: Tensor) -> Tensor:
        """Give the mean over the ranks."""
        total = loss.clone()
        dist.all_reduce(total, group=self.group)
        return total / dist.get_world_size(self.group)

    def samples(self, output: Tensor) -> int:
        """Give the number of samples of all ranks."""
        return len(output) * dist.get_world_size(self.group)

    def seeds(
        self,
        rule: ColumnRule,
        hessian: OutputHessian,
        output: Tensor,
        gradient: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Draw the output columns of the whole batch, and give those of this rank's samples.

        Returns:
            Shape (R, B, ..., C).

        Raises:
            InvalidInputError: if the outputs of the ranks have different shapes.
        """
        self._require_same([output], "outputs")
        whole = torch.cat(self._gather(output))
        slopes = None if gradient is None else torch.cat(self._gather(gradient))
        start = dist.get_rank(self.group) * len(output)
        return rule.columns(hessian, whole, slopes, generator)[:, start : start + len(output)]

    def gathered(self, columns: list[Columns]) -> list[Columns]:
        """Send the columns to all ranks.

        Returns:
            The columns of all samples, in the order of the ranks.

        Raises:
            InvalidInputError: if samples have different numbers of positions on different ranks.
        """
        parts = [_tensors(z) for z in columns]
        flat = [tensor for part in parts for tensor in part.values()]
        self._require_same(flat, "states")
        received = [self._gather(tensor) for tensor in flat]
        result = []
        for z, part in zip(columns, parts, strict=True):
            own, received = received[: len(part)], received[len(part) :]
            by_rank = [
                replace(z, **dict(zip(part, values, strict=True)))  # pyright: ignore[reportArgumentType]
                for values in zip(*own, strict=True)
            ]
            result.append(joined_samples(by_rank))
        return result

    def _gather(self, tensor: Tensor) -> list[Tensor]:
        own = tensor.detach().contiguous()
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size(self.group))]
        dist.all_gather(parts, own, group=self.group)
        return parts

    def _require_same(self, tensors: Sequence[Tensor], what: str) -> None:
        """Refuse shapes that differ, on all ranks alike."""
        sizes = torch.tensor([size for tensor in tensors for size in tensor.shape])
        found = self._gather(sizes.to(tensors[0].device))
        if all(torch.equal(other, found[0]) for other in found):
            return
        split = [other.split([tensor.ndim for tensor in tensors]) for other in found]
        shapes = next(
            distinct
            for place in zip(*split, strict=True)
            if len(distinct := {tuple(shape.tolist()) for shape in place}) > 1
        )
        raise InvalidInputError(
            f"model: expected {what} of one shape in all processes at a step that measures "
            f"curvature, got {' and '.join(map(str, sorted(shapes)))}"
        )


def unwrapped(model: nn.Module) -> tuple[nn.Module, Ranks]:
    """Find the network in what compiles or distributes it.

    Args:
        model: A network, perhaps compiled or under `DistributedDataParallel`.

    Returns:
        The network, and the ranks that it runs on.

    Raises:
        InvalidInputError: if it is no module.
        UnsupportedModuleError: if it is distributed in another way.
    """
    ranks: Ranks = OneRank()
    while True:
        if isinstance(model, DistributedDataParallel):
            ranks, model = SharedBatch(model.process_group), model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            break
    if not isinstance(model, nn.Module):
        raise InvalidInputError(f"model: expected a torch module, got {type(model).__name__}")
    kinds = {kind.__name__ for part in model.modules() for kind in type(part).__mro__}
    if found := sorted(kinds & _OTHER_WRAPPERS):
        raise UnsupportedModuleError(
            "model: expected a network whose parameters are whole in every process "
            f"(DistributedDataParallel), got one under {found[0]}"
        )
    return model, ranks


def require_supported(
    ranks: Ranks, game: GameGraph, config: OCNOptConfig, hessian: OutputHessian | None
) -> None:
    """Refuse what several ranks cannot do in step with each other.

    Args:
        ranks: The ranks.
        game: The game of the network.
        config: Settings of the method.
        hessian: Output Hessian of the loss.

    Raises:
        InvalidInputError: if a second pass measures the state, or the output Hessian is measured:
            both are of one rank's samples only.
        UnsupportedModuleError: if the network solves equations, which may fail on one rank alone.
    """
    if isinstance(ranks, OneRank):
        return
    if config.sweep is Sweep.ROLLOUT:
        raise InvalidInputError(
            "sweep: expected 'linear' under DistributedDataParallel, got 'rollout'"
        )
    if isinstance(hessian, LossHessian):
        raise InvalidInputError(
            "hessian: expected a formula under DistributedDataParallel, got LossHessian"
        )
    if game.fields:
        raise UnsupportedModuleError(
            "model: expected a network without differential equations under "
            f"DistributedDataParallel, got one with {type(game.fields[0]).__name__}"
        )


def _tensors(columns: Columns) -> dict[str, Tensor]:
    found = {part.name: getattr(columns, part.name) for part in fields(columns)}  # pyright: ignore[reportArgumentType]
    return {name: value for name, value in found.items() if isinstance(value, Tensor)}
