r"""Roll a network game out and backpropagate output columns to its stages.

At a stage with a control, a column `e` at the output gives, per sample, `g = (dy/dh)' e` at the
stage's output h, and with what the rollout kept of the stage's input the control derivative `z_u`.
One batched backward pass serves all columns. Where a solver keeps no graph, its backward equations
carry the columns, one column at a time through the rest of the network.

Batch normalisation in training mode lets every sample's output depend on every other sample through
the statistics of the batch. The gradient of the loss is the derivative of that very function. The
columns of the output Hessian are per sample: they take the statistics as constants, with the values
of the recorded pass. So does the second forward pass of a feedback sweep.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.utils.hooks import RemovableHandle

from ocngame.errors import InvalidInputError
from ocngame.games.batch_statistics import BATCH_NORMS, StatisticsGate
from ocngame.games.continuous.adjoint_block import Solved
from ocngame.games.continuous.adjoint_columns import NodeUse, check_field, node_uses
from ocngame.games.continuous.hearing import hearing
from ocngame.games.continuous.watch import FieldWatch
from ocngame.games.coverage import network_control
from ocngame.games.network_control import NetworkControl
from ocngame.games.stage import Stage
from ocngame.games.twins import Twin, installed
from ocngame.games.uses import StageUse, columns_of, settle_weights, stage_use, without_rejected
from ocngame.linalg import Columns

__all__ = ["Derivatives", "NetworkControl", "Rollout", "record_rollout", "trained_controls"]


@dataclass(frozen=True)
class Derivatives:
    """What one rollout says of its controls.

    Attributes:
        gradients: One column per sample for each control stage, whose mean over samples is the
            gradient of the mean loss.
        columns: Columns of the output Hessian for each control stage; None if none were asked for.
        others: Gradients of the mean loss for the parameters that are no control, None where the
            output does not depend on one.
    """

    gradients: list[Columns]
    columns: list[Columns] | None
    others: list[Tensor | None]


@dataclass(frozen=True)
class Rollout:
    """A recorded forward pass.

    Attributes:
        output: Network output, attached to the graph.
        controls: Stages with a control in the order of their first use.
        uses: The uses of each of these stages.
        gate: Says whether derivatives run through the statistics of batch normalisations.
        others: Trained parameters that are no control.
        watch: Knows which uses are evaluations of a vector field.
        solved: Solves by the adjoint equation.
        twins: Modules that run as their twins.
    """

    output: Tensor
    controls: list[NetworkControl]
    uses: list[list[StageUse]]
    gate: StatisticsGate = field(default_factory=StatisticsGate)
    others: Sequence[nn.Parameter] = ()
    watch: FieldWatch = field(default_factory=FieldWatch)
    solved: Sequence[Solved] = ()
    twins: Sequence[Twin] = ()

    @property
    def plain(self) -> bool:
        """Whether columns come back as a gradient does: through a graph, sample by sample."""
        return not self.gate.attached and not self.solved

    @property
    def places(self) -> list[GradientEdge]:
        """Where columns are wanted: at all uses, then at the states of all solves."""
        used = [use.place for uses in self.uses for use in uses]
        return used + [get_gradient_edge(part) for solve in self.solved for part in solve.states]

    def differentiate(self, gradient: Tensor, columns: Tensor | None = None) -> Derivatives:
        """Backpropagate the gradient of the loss and the columns of its output Hessian.

        Both take one batched pass, unless samples depend on each other through the statistics of
        the batch or there are parameters without columns.

        Args:
            gradient: Gradient of the mean loss at the output, times the number of samples; the
                output's shape.
            columns: Shape (R, *output.shape), or None.

        Returns:
            The derivatives.
        """
        if not self.gate.attached and not self.others:
            seeds = gradient.unsqueeze(0)
            joint = self.backpropagate(seeds if columns is None else torch.cat([seeds, columns]))
            rest = None if columns is None else [z.rows(1) for z in joint]
            return Derivatives([z.rows(0, 1) for z in joint], rest, [])
        places = self.places
        grads = self._backward(gradient, [*places, *self.others])
        split = len(places)
        samples = self.output.shape[0]
        return Derivatives(
            self._columns([None if grad is None else grad.unsqueeze(0) for grad in grads[:split]]),
            None if columns is None else self.backpropagate(columns),
            [None if grad is None else grad / samples for grad in grads[split:]],
        )

    def backpropagate(self, columns: Tensor, every: int = 1) -> list[Columns]:
        """Backpropagate output columns to the controls, at fixed statistics of the batch.

        Args:
            columns: Shape (R, *output.shape); every column covers all samples.
            every: Of how many samples one is kept.

        Returns:
            The columns of each control stage.

        Raises:
            InvalidInputError: if the output does not depend on a stage's control.
        """
        batched = columns.shape[0] > 1 and not self.solved
        with self.gate.closed():
            if batched:
                grads = self._backward(columns, self.places, True)
            else:
                places = self.places
                rows = [self._backward(column, places) for column in columns]
                grads = [_stacked(parts) for parts in zip(*rows, strict=True)]
        return self._columns(grads, every)

    def overhear(
        self, backward: Callable[[], object], scale: float, every: int = 1
    ) -> list[Columns]:
        """Take the columns from a backward pass that is made anyway.

        Args:
            backward: Makes the pass. The rollout has to be plain.
            scale: Factor of what comes back.
            every: Of how many samples one is kept.

        Returns:
            The columns of each control stage, one per sample.
        """
        places = [use.place for uses in self.uses for use in uses]
        came: list[Tensor | None] = [None] * len(places)

        def listen(i: int, place: GradientEdge) -> RemovableHandle:
            def hook(grads: Sequence[Tensor | None]) -> None:
                came[i] = grads[place.output_nr]

            return place.node.register_prehook(hook)  # pyright: ignore[reportArgumentType]

        handles = [listen(i, place) for i, place in enumerate(places)]
        try:
            backward()
        finally:
            for handle in handles:
                handle.remove()
        return self._columns([g if g is None else g.unsqueeze(0) for g in came], every, scale)

    def _backward(
        self, seeds: Tensor, inputs: Sequence[GradientEdge | Tensor], batched: bool = False
    ) -> Sequence[Tensor | None]:
        return torch.autograd.grad(  # pyright: ignore[reportCallIssue]
            self.output,
            inputs,  # pyright: ignore[reportArgumentType]
            seeds,
            retain_graph=True,
            is_grads_batched=batched,
            allow_unused=True,
        )

    def _columns(
        self, grads: Sequence[Tensor | None], every: int = 1, scale: float = 1.0
    ) -> list[Columns]:
        split, start = [], 0
        for uses in self.uses:
            split.append(without_rejected(uses, grads[start : start + len(uses)]))
            start += len(uses)
        settle_weights(self.watch, self.uses, split)
        nodes: list[list[NodeUse]] = [[] for _ in self.controls]
        for solve in self.solved:
            parts = grads[start : start + len(solve.states)]
            start += len(parts)
            with installed(self.twins):
                found = node_uses(solve, parts, self.controls)
            nodes = [a + b for a, b in zip(nodes, found, strict=True)]
        return [
            columns_of(
                control,
                [*uses, *(use for use, _ in more)],
                [*found, *(grad for _, grad in more)],
                every,
                scale,
            )
            for control, uses, found, more in zip(
                self.controls, self.uses, split, nodes, strict=True
            )
        ]


def record_rollout(
    module: nn.Module,
    stages: Sequence[Stage],
    forward: Callable[[], Tensor],
    others: Sequence[nn.Parameter] = (),
    twins: Sequence[Twin] = (),
    fields: Sequence[nn.Module] = (),
    foreign: bool = True,
) -> Rollout:
    """Run a forward pass and record what its control stages saw.

    Args:
        module: The network, or its traced program; with twins the program.
        stages: Its stages with a control; their operation is the layer's module path. Stages whose
            parameters are all frozen are left out.
        forward: Runs the network and returns its output; called once.
        others: Trained parameters that are no control, of which gradients are wanted.
        twins: Modules that run as their twins.
        fields: Vector fields that a solver evaluates.
        foreign: Whether the pass may call solvers of other packages.

    Returns:
        The recorded rollout.

    Raises:
        InvalidInputError: if a stage was not reached by the forward pass, or its state does not
            have the samples as first dimension.
    """
    controls = {control.module: control for control in trained_controls(module, stages)}
    gate = StatisticsGate()
    watch = FieldWatch(fields)
    seen: dict[nn.Module, list[StageUse]] = {layer: [] for layer in controls}
    shapes: dict[str, set[torch.Size]] = {control.stage: set() for control in controls.values()}
    solved: list[Solved] = []

    def hook(layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        if isinstance(layer, BATCH_NORMS):
            output = gate.attach(layer, args[0], output)
        if layer in seen:
            if output.numel() == 0:
                raise InvalidInputError("x: expected at least one sample, got an empty batch")
            shapes[controls[layer].stage].add(output.shape)
            # A solver may try its first step without a graph, or keep none.
            if output.requires_grad:
                seen[layer].append(stage_use(controls[layer], args[0], output, watch.current))
        return output

    coupled = {layer for layer in module.modules() if isinstance(layer, BATCH_NORMS)}
    handles = [layer.register_forward_hook(hook) for layer in coupled.union(controls)]
    try:
        with installed(twins), watch.watching(), hearing(fields, solved.append, foreign):
            output = forward()
    finally:
        for handle in handles:
            handle.remove()
    for solve in solved:
        check_field(solve.problem.origin, list(controls.values()))
    if not solved:
        for layer, control in controls.items():
            if not seen[layer]:
                shapes[control.stage].clear()
    for stage, uses in shapes.items():
        _check_uses(stage, uses, output)
    return Rollout(
        output,
        list(controls.values()),
        list(seen.values()),
        gate,
        [parameter for parameter in others if parameter.requires_grad],
        watch,
        solved,
        twins,
    )


def trained_controls(module: nn.Module, stages: Sequence[Stage]) -> list[NetworkControl]:
    """Give the controls of the stages that have parameters to train.

    Args:
        module: The network.
        stages: Its stages with a control.

    Returns:
        One control per layer, in the order of its first stage.
    """
    controls: dict[nn.Module, NetworkControl] = {}
    for stage in stages:
        layer = module.get_submodule(stage.operation)
        if layer not in controls and any(p.requires_grad for p in layer.parameters()):
            controls[layer] = network_control(stage.operation, layer)
    return list(controls.values())


def _stacked(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Stack what came back column by column; a column may not reach a place."""
    known = next((part for part in parts if part is not None), None)
    if known is None:
        return None
    if len(parts) == 1:
        return known.unsqueeze(0)
    return torch.stack([torch.zeros_like(known) if part is None else part for part in parts])


def _check_uses(stage: str, shapes: Collection[torch.Size], output: Tensor) -> None:
    if not shapes:
        raise InvalidInputError(f"model: the forward pass did not reach stage {stage!r}")
    for shape in shapes:
        if len(shape) < 2 or shape[0] != output.shape[0]:
            raise InvalidInputError(
                f"model: expected the {output.shape[0]} samples as first dimension of the state "
                f"at stage {stage!r}, got shape {tuple(shape)}; name the part of the network "
                "around it as one stage with blocks=[...]"
            )
