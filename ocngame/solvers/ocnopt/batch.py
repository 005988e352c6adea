"""One batch as the optimizer sees it: its loss, gradients in `.grad`, and measured columns."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ocngame.curvature import OutputHessian
from ocngame.errors import InvalidInputError, NonFiniteError
from ocngame.games.continuous import solver_errors
from ocngame.games.graph import GameGraph
from ocngame.games.replay import RandomState, replayed
from ocngame.games.rollout import Rollout, record_rollout
from ocngame.games.twins import installed
from ocngame.linalg import Columns
from ocngame.solvers.ocnopt.config import Feedback, OCNOptConfig
from ocngame.solvers.ocnopt.own_gradient import loss_scale
from ocngame.solvers.ocnopt.precision import Autocast, full_precision
from ocngame.solvers.ocnopt.ranks import Ranks

__all__ = ["Batch", "BatchReader"]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one forward and backward pass left behind.

    Attributes:
        loss: The loss, without a graph.
        measure: Runs the pass again without a trace and gives the loss; NaN where the network has
            an equation that cannot be solved.
        start: State of torch's generators before the pass.
        signs: State of the generator of random signs before the pass.
        columns: Columns of the output Hessian of every stage; None where they were not measured.
        samples: One gradient column per sample and stage, where feedback needs them.
        seeds: The output columns behind `columns`.
    """

    loss: Tensor
    measure: Callable[[], Tensor]
    start: RandomState
    signs: Tensor
    columns: Sequence[Columns] | None = None
    samples: Sequence[Columns] | None = None
    seeds: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class BatchReader:
    """Runs a closure, adds to `.grad`, and measures columns where they are due.

    Attributes:
        model: The network.
        game: Its game.
        hessian: Output Hessian of the loss; None if nothing needs columns.
        config: Settings of the method.
        generator: Source of random signs, on the CPU.
        ranks: The processes that share the batch; the loss and the columns are those of all.
    """

    model: nn.Module
    game: GameGraph
    hessian: OutputHessian | None
    config: OCNOptConfig
    generator: torch.Generator
    ranks: Ranks

    def read(self, closure: Callable[[], Tensor], due: bool) -> Batch:
        """Run the closure and its backward pass.

        Args:
            closure: Runs the model once and returns the mean loss, without calling `backward`.
            due: Whether to measure columns.

        Returns:
            The batch; gradients have been added to `.grad`.

        Raises:
            InvalidInputError: if the closure does not return a scalar with a graph, has called
                `backward`, or (where columns are due) does not run the model exactly once, or in
                inference mode.
        """
        if torch.is_inference_mode_enabled():
            raise InvalidInputError("step: expected a call outside torch.inference_mode")
        start, signs = RandomState.now(), self.generator.get_state()
        twins = self.game.twins if due and self.hessian is not None else ()
        cast = Autocast.now()

        def run() -> Tensor:
            with installed(twins):
                return closure()

        def measure() -> Tensor:
            with replayed(self.model, start), torch.no_grad():
                try:
                    with cast.restored(), solver_errors():
                        return self.ranks.mean(run().detach())
                except NonFiniteError:
                    return torch.tensor(torch.nan)

        with torch.enable_grad(), solver_errors():
            if not due or self.hessian is None:
                loss = _scalar(run())
                with full_precision():
                    _backward(loss)
                mean = self.ranks.mean(loss.detach())
                return Batch(loss=mean, measure=measure, start=start, signs=signs)
            with _eager():
                rollout, loss = _record(self.model, self.game, run)
            with full_precision():
                columns, samples, seeds = self._columns(rollout, loss)
        return Batch(
            loss=self.ranks.mean(loss.detach()),
            measure=measure,
            start=start,
            signs=signs,
            columns=columns,
            samples=samples,
            seeds=seeds,
        )

    def _columns(
        self, rollout: Rollout, loss: Tensor
    ) -> tuple[list[Columns], list[Columns] | None, Tensor]:
        """Backpropagate the columns and the loss."""
        assert self.hessian is not None  # noqa: S101 - checked by the caller
        output = rollout.output.detach()
        rule, per_sample = self.config.columns, self.config.feedback is Feedback.PER_SAMPLE
        every = rule.every(self.ranks.samples(output))
        gradient = None
        if rule.needs_gradient or per_sample:
            gradient = _output_gradient(loss, rollout.output)
        hessian = self.hessian.of_batch(loss, rollout.output)
        exact = output.float() if output.dtype == torch.bfloat16 else output
        seeds = self.ranks.seeds(rule, hessian, exact, gradient, self.generator)
        seeds = seeds.to(output.dtype)
        gathered = self.ranks.gathered
        try:
            if self.hessian.of_gradient and rollout.plain and not per_sample:
                scale = loss_scale(loss, rollout.output, seeds, rollout.places)
                if scale is not None:
                    heard = rollout.overhear(partial(_backward, loss), scale, every)
                    return gathered(heard), None, seeds
            if not per_sample or gradient is None:
                columns, samples = rollout.backpropagate(seeds, every), None
            else:
                derived = rollout.differentiate(gradient, seeds)
                columns, samples = derived.columns, derived.gradients
        except RuntimeError as error:
            raise _explained(error) from error
        assert columns is not None  # noqa: S101 - seeds were given
        _backward(loss)
        return gathered(columns), None if samples is None else gathered(samples), seeds


def _eager() -> AbstractContextManager[Any]:
    """Run compiled code as it was written: hooks on its layers are not seen otherwise."""
    compiler_loaded = "torch._dynamo" in sys.modules
    return torch.compiler.set_stance("force_eager") if compiler_loaded else nullcontext()


def _scalar(loss: Tensor) -> Tensor:
    if not isinstance(loss, Tensor) or loss.ndim != 0:
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise InvalidInputError(f"closure: expected a scalar loss, got {got}")
    return loss


def _output_gradient(loss: Tensor, output: Tensor) -> Tensor:
    """Give the gradient of every sample's own loss at the output."""
    try:
        (gradient,) = torch.autograd.grad(loss, output, retain_graph=True)
    except RuntimeError as error:
        raise _explained(error) from error
    return gradient * output.shape[0]


def _backward(loss: Tensor) -> None:
    try:
        loss.backward()
    except RuntimeError as error:
        raise _explained(error) from error


def _explained(error: RuntimeError) -> Exception:
    text = str(error)
    if "second time" in text:
        return InvalidInputError(
            "closure: expected the loss with its graph, got one on which backward has been called"
        )
    if "does not require grad" in text or "not have been used" in text:
        return InvalidInputError(
            "closure: expected a loss that depends on the model's output, got one that does not"
        )
    return error


def _record(
    model: nn.Module, game: GameGraph, closure: Callable[[], Tensor]
) -> tuple[Rollout, Tensor]:
    outputs: list[Tensor] = []
    losses: list[Tensor] = []

    def hook(_module: nn.Module, _args: object, output: Any) -> None:
        if not isinstance(output, Tensor) or output.ndim < 1 or not len(output):
            got = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output)
            raise InvalidInputError(
                "model: expected an output that is one tensor with a sample or more as its first "
                f"dimension, got {getattr(got, '__name__', got)}"
            )
        if torch.float16 in {output.dtype, *Autocast.now().types.values()}:
            raise InvalidInputError(
                "model: expected an output in float32, float64 or bfloat16, got float16; use "
                "autocast with bfloat16, which needs no GradScaler"
            )
        outputs.append(output)

    def forward() -> Tensor:
        losses.append(_scalar(closure()))
        if len(outputs) != 1:
            raise InvalidInputError(f"closure: expected one call of the model, got {len(outputs)}")
        return outputs[0]

    handle = model.register_forward_hook(hook)
    try:
        rollout = record_rollout(
            game.program,
            game.control_stages,
            forward,
            twins=game.twins,
            fields=game.fields,
            foreign=game.foreign,
        )
    finally:
        handle.remove()
    return rollout, losses[0]
