"""The uses of a control in one recorded pass, and its columns from what came back to each.

A use that nothing came back to is left out if there are others: a solver's rejected step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge

from ocngame.errors import InvalidInputError
from ocngame.games.continuous.watch import Evaluation, FieldWatch
from ocngame.games.network_control import NetworkControl
from ocngame.linalg import Columns, IntegratedColumns, Use

__all__ = ["StageUse", "columns_of", "settle_weights", "stage_use", "without_rejected"]


@dataclass(frozen=True, slots=True)
class StageUse:
    """One use of a stage's control.

    Attributes:
        place: Place of the stage's output in the graph. Unlike the tensor, it stays what it is if
            the next layer overwrites its input.
        kept: What the columns need of the input; the input itself within a vector field.
        evaluation: The evaluation of a vector field that this is a part of, or None.
    """

    place: GradientEdge
    kept: Tensor
    evaluation: Evaluation | None = None


def stage_use(
    control: NetworkControl, x: Tensor, output: Tensor, evaluation: Evaluation | None
) -> StageUse:
    """Note a use of a control.

    Args:
        control: The control.
        x: Input of its layer.
        output: Output of its layer.
        evaluation: The evaluation of a vector field that is running, or None.

    Returns:
        The use.
    """
    # Convolutions cut inputs into patches, which would be kept for every stage of a solver.
    late = evaluation is not None and control.factored
    kept = x.detach() if late else control.factors(x)
    return StageUse(get_gradient_edge(output), kept, evaluation)


def without_rejected(
    uses: Sequence[StageUse], grads: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """Drop what no sample has accepted, where samples have steps of their own.

    Args:
        uses: Uses of a control.
        grads: What came back to each, shape (R, B, ...).

    Returns:
        The same, with None where all of it is exactly zero.
    """

    def rejected(use: StageUse, grad: Tensor) -> bool:
        own = use.evaluation is not None and use.evaluation.parted
        return own and not bool(grad.any())

    return [
        None if grad is None or rejected(use, grad) else grad
        for use, grad in zip(uses, grads, strict=True)
    ]


def settle_weights(
    watch: FieldWatch,
    uses: Sequence[Sequence[StageUse]],
    grads: Sequence[Sequence[Tensor | None]],
) -> None:
    """Tell the watch which evaluations the output depends on.

    Args:
        watch: Follows the evaluations.
        uses: Uses of every control.
        grads: What came back to each.
    """
    reached = {
        use.evaluation: None
        for own, found in zip(uses, grads, strict=True)
        for use, grad in zip(own, found, strict=True)
        if grad is not None and use.evaluation is not None
    }
    watch.settle(reached)


def columns_of(
    control: NetworkControl,
    uses: Sequence[StageUse],
    grads: Sequence[Tensor | None],
    every: int = 1,
    scale: float = 1.0,
) -> Columns:
    """Give the columns of one control.

    Args:
        control: The control.
        uses: Its uses.
        grads: What came back to each, shape (R, B, ...) each.
        every: Of how many samples one is kept.
        scale: Factor of what came back.

    Returns:
        The columns.

    Raises:
        InvalidInputError: if nothing came back to any use.
    """
    found = [
        (use.evaluation, use.kept[::every], _scaled(grad[:, ::every], scale))
        for use, grad in zip(uses, grads, strict=True)
        if grad is not None
    ]
    if not found:
        raise InvalidInputError(
            f"model: expected an output that depends on stage {control.stage!r}, "
            "got one that does not"
        )
    # Autocast leaves states in fewer bits than the controls have.
    dtype = control.parameters[0].dtype
    if control.factored and any(evaluation is not None for evaluation, _, _ in found):
        return _weighted(
            [
                Use(control.left(grad), kept, 1.0)
                if evaluation is None
                else Use(grad, kept, evaluation.weight or 0.0, control)
                for evaluation, kept, grad in found
            ],
            dtype,
        )
    left = [control.left(grad).to(dtype) for _, _, grad in found]
    kept = [kept for _, kept, _ in found]
    factors = kept[0] if len(kept) == 1 else torch.cat(kept, 1)
    factors = factors.to(dtype) if factors.is_floating_point() else factors
    return control.columns(left[0] if len(left) == 1 else torch.cat(left, 2), factors)


def _scaled(grad: Tensor, scale: float) -> Tensor:
    """Multiply; what comes out does not hold the samples that are left out."""
    return grad.contiguous() if scale == 1.0 else grad * scale


def _weighted(uses: list[Use], dtype: torch.dtype) -> IntegratedColumns:
    """Give columns with densities; where no weight is positive, all uses count alike."""
    if not any(use.weight > 0 for use in uses):
        uses = [replace(use, weight=1.0) for use in uses]
    return IntegratedColumns(uses, dtype)
