r"""Which outputs of a torch function can depend on which inputs, whatever their values.

The function is run once, and every operation hands on, entry by entry, a mask of the inputs that
its result is made of:

* entrywise operations give the union of the masks of the entries that meet, `where` included, so
  a branch that is not taken at this point counts;
* operations that only move, copy or add entries are applied to the masks;
* of anything else every entry of the result may depend on every entry of the arguments;
* a function that writes in place, or cannot be watched, may depend on everything.

So the answer may be too large, but never too small. Second derivatives vanish wherever one of the
two inputs is missing, which is what makes sparse derivatives cheap (`ocngame.games.derivatives`).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

__all__ = ["dependence"]

aten = torch.ops.aten
MOVING = {
    aten.stack,
    aten.cat,
    aten.clone,
    aten._to_copy,
    aten.index_select,
    aten.gather,
    aten.repeat,
    aten.flip,
    aten.roll,
    aten.sum,
    aten.cumsum,
    aten.constant_pad_nd,
    aten.view_copy,
    aten._reshape_copy,
    aten._unsafe_view,
}


def dependence(function: Callable[..., Tensor], z: Tensor, *rest: Tensor) -> Tensor:
    """Run a function once and follow its first argument.

    Args:
        function: From a vector (d,) and further arguments to a vector (k,).
        z: A point of the argument's shape and dtype.
        rest: Further arguments.

    Returns:
        Which output may depend on which entry of z, a mask of shape (k, d).
    """
    watch = _Watch(len(z))
    start = z.detach().clone()
    watch.masks[id(start)] = torch.eye(len(z), dtype=torch.bool, device=z.device)
    watch.kept.append(start)
    try:
        with torch.no_grad(), watch:
            result = function(start, *rest)
    except _UnknownError:
        result = function(z, *rest)
        return torch.ones(result.numel(), len(z), dtype=torch.bool, device=z.device)
    return watch.mask(result).reshape(len(z), -1).mT.contiguous()


class _UnknownError(Exception):
    """An operation that cannot be followed."""


class _Watch(TorchDispatchMode):
    """Carries a mask (d, *shape) for every tensor that depends on the inputs."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.masks: dict[int, Tensor] = {}
        self.kept: list[Tensor] = []  # Keeps identities from being used twice.

    def mask(self, tensor: Tensor) -> Tensor:
        """Give the mask of a tensor.

        Args:
            tensor: Any tensor that was seen.

        Returns:
            The mask, shape (d, *shape).
        """
        blank = torch.zeros(self.size, *tensor.shape, dtype=torch.bool, device=tensor.device)
        return self.masks.get(id(tensor), blank)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run an operation, and follow it."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        given = [part for part in tree_flatten((args, kwargs))[0] if isinstance(part, Tensor)]
        if not any(id(part) in self.masks for part in given):
            return result
        if func._schema.is_mutable:
            raise _UnknownError
        results = tuple(result) if isinstance(result, (tuple, list)) else (result,)
        if torch.Tag.pointwise in func.tags:
            self._entry_by_entry(given, results)
        elif func.is_view or func.overloadpacket in MOVING:
            self._moved(func, args, kwargs, results)
        else:
            self._all_on_all(given, results)
        return result

    def _keep(self, tensor: Tensor, mask: Tensor) -> None:
        self.masks[id(tensor)] = mask
        self.kept.append(tensor)

    def _entry_by_entry(self, given: list[Tensor], results: tuple[Tensor, ...]) -> None:
        shape = results[0].shape
        total = torch.zeros(self.size, *shape, dtype=torch.bool, device=results[0].device)
        for part in given:
            if id(part) in self.masks:
                mask = self.masks[id(part)]
                missing = len(shape) - part.ndim
                total |= mask.reshape(self.size, *(1,) * missing, *part.shape)
        for result in results:
            self._keep(result, total)

    def _moved(self, func, args: Any, kwargs: Any, results: tuple[Tensor, ...]) -> None:
        rows = []
        for j in range(self.size):

            def one(part: Any, j: int = j) -> Any:
                known = isinstance(part, Tensor) and id(part) in self.masks
                if known:
                    return self.masks[id(part)][j].to(torch.float32)
                floating = isinstance(part, Tensor) and part.is_floating_point()
                return torch.zeros_like(part, dtype=torch.float32) if floating else part

            moved = func(*tree_map(one, args), **tree_map(one, kwargs))
            rows.append(moved if isinstance(moved, (tuple, list)) else (moved,))
        for result, parts in zip(results, zip(*rows, strict=True), strict=True):
            self._keep(result, torch.stack(parts) != 0)

    def _all_on_all(self, given: list[Tensor], results: tuple[Any, ...]) -> None:
        union = torch.zeros(self.size, dtype=torch.bool, device=given[0].device)
        for part in given:
            if id(part) in self.masks:
                union |= self.masks[id(part)].reshape(self.size, -1).any(-1)
        for result in results:
            if isinstance(result, Tensor):
                shape = (self.size, *result.shape)
                self._keep(result, union.reshape(-1, *(1,) * result.ndim).expand(shape))
