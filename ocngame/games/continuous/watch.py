r"""When the layers of a field are used, while a pass through a network is recorded.

A solver evaluates the field at times t_e, in an order of its own, and some of these evaluations do
not reach the result: trial steps that it rejects, probes for a first step. Which ones do is known
after the backward pass only, by whether something came back to their layers; they alone count.

The length of time w_e that an evaluation stands for is `|h| b_i` for stage i of a step of length h
where the block knows its method (`NeuralODE`). Of a foreign solver, only the times are known: w_e
is then the length of the interval that is nearer to t_e than to any other of the times that count,
shared among the evaluations at the same time. Sums over evaluations with either kind of weight are
time integrals up to a constant factor of the method.
"""

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ocngame.games.continuous.block import NeuralODE

__all__ = ["Evaluation", "FieldWatch", "nearest_lengths"]


class Evaluation:
    """One evaluation of a field.

    Attributes:
        field: The field.
        time: t_e.
        weight: w_e, None as long as it is not known.
        parted: Whether every sample has a time of its own (t_e is their mean), so that a sample may
            reject what others accept.
    """

    __slots__ = ("field", "parted", "time", "weight")

    def __init__(self, field: Callable[..., Any], time: float, *, parted: bool = False):
        """Note where and when.

        Args:
            field: The field.
            time: t_e.
            parted: Whether every sample has a time of its own.
        """
        self.field, self.time, self.parted = field, time, parted
        self.weight: float | None = None


class FieldWatch:
    """Follows the evaluations of fields.

    Attributes:
        current: The evaluation that is running, None outside of all fields.
    """

    def __init__(self, fields: Collection[nn.Module] = ()):
        """Name what to follow.

        Args:
            fields: Vector fields, and blocks that know the weights of their evaluations.
        """
        blocks = [block for block in fields if isinstance(block, NeuralODE)]
        self._blocks = [block for block in blocks if block.adjoint is None]
        own = [b.field for b in self._blocks if isinstance(b.field, nn.Module)]
        others = [part for part in fields if not isinstance(part, NeuralODE)]
        self._fields = list(dict.fromkeys([*own, *others]))
        self._open: list[Evaluation] = []
        self._seen: list[Evaluation] = []
        self._solves: list[int] = []

    @property
    def current(self) -> Evaluation | None:
        """The innermost evaluation that is running."""
        return self._open[-1] if self._open else None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Follow what happens inside.

        Yields:
            Nothing.
        """
        handles = [
            *(field.register_forward_pre_hook(self._begin) for field in self._fields),
            *(field.register_forward_hook(self._end, always_call=True) for field in self._fields),
            *(block.register_forward_pre_hook(self._enter) for block in self._blocks),
            *(block.register_forward_hook(self._leave) for block in self._blocks),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._open.clear()

    def settle(self, reached: Collection[Evaluation]) -> None:
        """Give weights to the evaluations that have none.

        Args:
            reached: The evaluations that the result depends on.
        """
        waiting: dict[Callable[..., Any], list[Evaluation]] = {}
        for evaluation in reached:
            if evaluation.weight is None:
                waiting.setdefault(evaluation.field, []).append(evaluation)
        for evaluations in waiting.values():
            lengths = nearest_lengths([evaluation.time for evaluation in evaluations])
            for evaluation, length in zip(evaluations, lengths, strict=True):
                evaluation.weight = length

    def _begin(self, field: nn.Module, args: tuple[Any, ...]) -> None:
        t = args[0] if args else 0.0
        time = float(t.detach().mean()) if isinstance(t, Tensor) else float(t)
        parted = isinstance(t, Tensor) and t.ndim > 0
        self._open.append(Evaluation(field, time, parted=parted))
        # Where no graph is kept, nothing can come back to an evaluation.
        if torch.is_grad_enabled():
            self._seen.append(self._open[-1])

    def _end(self, _field: nn.Module, _args: object, _output: object) -> None:
        self._open.pop()

    def _enter(self, _block: nn.Module, _args: object) -> None:
        self._solves.append(len(self._seen))

    def _leave(self, block: nn.Module, _args: object, _output: object) -> None:
        own = [e for e in self._seen[self._solves.pop() :] if e.field is block.field]
        for evaluation, weight in zip(own, block.weights(), strict=False):  # pyright: ignore[reportCallIssue]
            evaluation.weight = weight


def nearest_lengths(times: Sequence[float]) -> list[float]:
    """Give the length of the interval that is nearest to each of several times.

    Args:
        times: Times in any order; some may be equal.

    Returns:
        The lengths, shared among equal times; they add up to the span of the times, or to one if
        there is but one time.
    """
    distinct = sorted(set(times))
    if len(distinct) == 1:
        return [1.0 / len(times)] * len(times)
    middles = [(a + b) / 2 for a, b in itertools.pairwise(distinct)]
    edges = [distinct[0], *middles, distinct[-1]]
    length = {t: edges[i + 1] - edges[i] for i, t in enumerate(distinct)}
    share = dict.fromkeys(distinct, 0)
    for t in times:
        share[t] += 1
    return [length[t] / share[t] for t in times]
