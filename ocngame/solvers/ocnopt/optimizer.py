"""OCNOpt as a torch optimizer."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ocngame._checks import non_negative
from ocngame.curvature import OutputHessian, output_hessian
from ocngame.errors import InvalidInputError, NonFiniteError
from ocngame.games.graph import GameGraph
from ocngame.games.live_rollout import LiveRollout
from ocngame.games.replay import RandomState, replayed
from ocngame.games.rollout import Rollout, record_rollout
from ocngame.games.twins import installed
from ocngame.solvers.ocnopt.config import Feedback, OCNOptConfig, Sweep
from ocngame.solvers.ocnopt.core import SolverState, StageState, init_state, propose_move
from ocngame.solvers.ocnopt.damping import Judge
from ocngame.solvers.ocnopt.steps import StepLimit
from ocngame.solvers.ocnopt.team import Team

__all__ = ["OCNOpt", "StepInfo"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepInfo:
    """What happened in one step.

    Attributes:
        loss: Batch loss before the step.
        accepted: Whether the controls moved; a step with non-finite numbers is refused.
        length: Multiple of the direction chosen by the step rule; the sum over several.
        momentum: Multiple of the last move.
        cap: Fraction of the move that the bound of the loss allowed.
        damping: lambda used.
        predicted: Change of the batch loss predicted by the model, NaN without a model.
        ratio: Measured over predicted change, of this step on its own batch or of the last step on
            this batch, as the damping rule asks; NaN where it was not measured.
        removed: Number of negative curvatures removed by the backward pass.
    """

    loss: float
    accepted: bool
    length: float = math.nan
    momentum: float = math.nan
    cap: float = math.nan
    damping: float = math.nan
    predicted: float = math.nan
    ratio: float = math.nan
    removed: int = 0

    def as_dict(self) -> dict[str, float]:
        """Give all fields as numbers for a log.

        Returns:
            The fields by name.
        """
        return {name: float(value) for name, value in asdict(self).items()}


class OCNOpt(torch.optim.Optimizer):
    """Optimal-control optimizer: a network is a dynamic game, a step is a Bellman recursion on it.

    Needs no learning rate: the step length comes from the batch's own Gauss-Newton model. `lr`
    scales that length, so torch's schedulers work.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module | None = None,
        *,
        lr: float = 1.0,
        weight_decay: float = 0.0,
        config: OCNOptConfig | None = None,
        hessian: OutputHessian | None = None,
        seed: int = 0,
        example_input: Tensor | None = None,
    ):
        """Build the game of a network and the optimizer that plays it.

        Args:
            model: The network. Parameters that no stage of its game covers are listed in
                `game.uncovered`; they move by `config.fallback`.
            loss: Mean loss of (output, target); `nn.CrossEntropyLoss()` if None.
            lr: Scale of the step; 1 is the model's own length.
            weight_decay: Coupled weight decay, added to the gradient.
            config: Settings of the method.
            hessian: Output Hessian of the loss, for losses that are not known.
            seed: Seed of the random columns.
            example_input: Network input; tells the shapes that cooperating players need to know.

        Raises:
            InvalidInputError: if an argument is out of range.
            UnsupportedModuleError: if the model cannot be traced or no stage has a control.
        """
        non_negative("lr", lr)
        non_negative("weight_decay", weight_decay)
        self.model = model
        self.loss = loss if loss is not None else nn.CrossEntropyLoss()
        self.config = config if config is not None else OCNOptConfig()
        needs_hessian = self.config.needs_columns and hessian is None
        self.hessian = output_hessian(self.loss) if needs_hessian else hessian
        self.game = GameGraph.from_module(model, example_input, players="single")
        self._others = [model.get_parameter(name) for name in self.game.uncovered]
        self.seed = seed
        self.generator = torch.Generator()
        together = self.config.cooperation
        self.team = None if together is None else Team(together, self.game, self.generator)
        super().__init__(model.parameters(), {"lr": lr, "weight_decay": weight_decay})

    def step(self, x: Any, y: Tensor | None = None) -> StepInfo:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Make one step on a batch.

        Args:
            x: Network input, or a closure that runs the model once and returns the loss without
                calling `backward`.
            y: Target; omitted with a closure.

        Returns:
            What happened. A step with non-finite loss, gradient or move leaves controls and solver
            state unchanged.

        Raises:
            InvalidInputError: if the target is missing, or the closure has called `backward`.
        """
        start = RandomState.now()
        record, measure = self._evaluators(x, y, start)
        with torch.enable_grad():
            rollout, loss = record()
            gradient = _output_gradient(loss, rollout.output)
        state = self._solver_state(rollout)
        before = float(loss.detach())
        if not math.isfinite(before):
            return self._refuse(before, state, "loss: expected a finite number")
        state, ratio = self._judged(state, rollout, before, measure)
        if self.team is not None:
            self.team.learn(-ratio * state.predicted)
        lr = self.param_groups[0]["lr"]
        bound = None if self.hessian is None else self.hessian.lower_bound
        try:
            new, proposal, directions, others = propose_move(
                self.config,
                state,
                rollout,
                self.hessian,
                gradient,
                self.generator,
                StepLimit(lr, None if bound is None else before - bound),
                self._decay(rollout),
                self._live(x, start),
                None if self.team is None else partial(self.team.move, rollout.controls),
            )
        except NonFiniteError as error:
            return self._refuse(before, state, str(error))
        self._move(rollout, proposal.moves, lr)
        slope = self._move_others(rollout, others, lr)
        predicted = math.nan
        if proposal.slope is not None and proposal.curvature is not None:
            predicted = float(lr * proposal.slope + 0.5 * lr**2 * proposal.curvature + lr * slope)
        rule, damping = self.config.damping, state.damping
        if rule.judge is Judge.SAME_BATCH and rule.measures(state.step) and predicted < 0:
            with torch.no_grad():
                ratio = (float(measure()) - before) / predicted
            damping = rule.adjusted(damping, ratio)
            if self.team is not None:
                self.team.learn(-ratio * predicted)
        self._store(rollout, SolverState(new.stages, new.step, damping, predicted, lr))
        return StepInfo(
            loss=before,
            accepted=True,
            length=float(proposal.length),
            cap=float(proposal.cap),
            momentum=float(proposal.momentum),
            damping=state.damping,
            predicted=predicted,
            ratio=ratio,
            removed=int(directions.removed) if directions.removed is not None else 0,
        )

    def _judged(
        self,
        state: SolverState,
        rollout: Rollout,
        loss: float,
        measure: Callable[[], Tensor],
    ) -> tuple[SolverState, float]:
        """Judge the last move on this batch, if the damping rule asks for it."""
        rule = self.config.damping
        due = rule.judge is Judge.NEXT_BATCH and state.step > 0 and rule.measures(state.step - 1)
        if not due or not state.predicted < 0:
            return state, math.nan
        back = [
            parameter.detach() - state.scale * part
            for control, stage in zip(rollout.controls, state.stages, strict=True)
            if stage.last is not None
            for parameter, part in zip(control.parameters, control.split(stage.last), strict=True)
        ]
        moved = [p for c in rollout.controls for p in c.parameters]
        for parameter in rollout.others:
            if "last" in self.state[parameter]:
                moved.append(parameter)
                back.append(parameter.detach() - state.scale * self.state[parameter]["last"])
        with _replaced(moved, back), torch.no_grad():
            ratio = (loss - float(measure())) / state.predicted
        return replace(state, damping=rule.adjusted(state.damping, ratio)), ratio

    def _evaluators(
        self, x: Any, y: Tensor | None, start: RandomState
    ) -> tuple[Callable[[], tuple[Rollout, Tensor]], Callable[[], Tensor]]:
        """Give one function that records a rollout with its loss, and one for the loss alone."""
        game, others = self.game, self._others

        def record() -> tuple[Rollout, Tensor]:
            if closure is not None:
                return _record_closure(self.model, game, closure, others)
            rollout = record_rollout(
                game.program, game.control_stages, lambda: self.model(x), others, game.twins
            )
            return rollout, self.loss(rollout.output, y)

        def measure() -> Tensor:
            with replayed(self.model, start), installed(game.twins):
                return closure() if closure is not None else self.loss(self.model(x), y)

        closure: Any = x if callable(x) and not isinstance(x, Tensor) else None
        if closure is None and y is None:
            raise InvalidInputError("y: expected a target, got None")
        return record, measure

    def _live(self, x: Any, start: RandomState) -> LiveRollout | None:
        if self.config.sweep is not Sweep.ROLLOUT or self.config.feedback is Feedback.OFF:
            return None
        if not isinstance(x, Tensor):
            raise InvalidInputError(
                "x: expected the network input for a rollout sweep, got a closure"
            )
        return LiveRollout(self.game, x, start)

    def _solver_state(self, rollout: Rollout) -> SolverState:
        solver = self.state.get("solver")  # pyright: ignore[reportArgumentType]
        if solver is None:
            self.generator.manual_seed(self.seed)
            return init_state(self.config, rollout)
        self.generator.set_state(solver["generator"])
        if self.team is not None:
            self.team.load(solver["cooperation"])
        stages = [_stage_state(self.state[c.parameters[0]]) for c in rollout.controls]
        return SolverState(
            stages, solver["step"], solver["damping"], solver["predicted"], solver["scale"]
        )

    def _store(self, rollout: Rollout, state: SolverState) -> None:
        for control, stage in zip(rollout.controls, state.stages, strict=True):
            entry: dict[str, Tensor | None] = {
                f"curvature_{name}": value for name, value in stage.curvature.items()
            }
            entry["last"] = stage.last
            if stage.average is not None:
                entry["average"] = stage.average
            self.state[control.parameters[0]] = entry
        self.state["solver"] = {  # pyright: ignore[reportArgumentType]
            "step": state.step,
            "damping": state.damping,
            "predicted": state.predicted,
            "scale": state.scale,
            "generator": self.generator.get_state(),
            "cooperation": None if self.team is None else self.team.save(),
        }

    def _decay(self, rollout: Rollout) -> Callable[[list[Tensor]], list[Tensor]] | None:
        rate = self.param_groups[0]["weight_decay"]
        if rate == 0:
            return None

        def decay(gradients: list[Tensor]) -> list[Tensor]:
            return [
                g + rate * control.join([p.detach() for p in control.parameters])
                for g, control in zip(gradients, rollout.controls, strict=True)
            ]

        return decay

    @torch.no_grad()
    def _move(self, rollout: Rollout, moves: Iterable[Tensor], lr: float) -> None:
        for control, move in zip(rollout.controls, moves, strict=True):
            for parameter, part in zip(control.parameters, control.split(move), strict=True):
                parameter.add_(part, alpha=lr)

    @torch.no_grad()
    def _move_others(
        self, rollout: Rollout, gradients: Sequence[Tensor | None], lr: float
    ) -> float | Tensor:
        """Move the parameters that no stage covers; gives the first-order change of the loss."""
        slope: float | Tensor = 0.0
        rate = self.param_groups[0]["weight_decay"]
        for parameter, gradient in zip(rollout.others, gradients, strict=True):
            if gradient is None:
                continue
            state = self.config.fallback.advance(
                self.state[parameter], gradient + rate * parameter if rate else gradient
            )
            self.state[parameter] = state
            parameter.add_(state["last"], alpha=lr)
            slope = slope + (gradient * state["last"]).sum()
        return slope

    def _refuse(self, loss: float, state: SolverState, what: str) -> StepInfo:
        _log.warning("step refused (%s); controls and state are unchanged", what)
        return StepInfo(loss=loss, accepted=False, damping=state.damping)


def _output_gradient(loss: Tensor, output: Tensor) -> Tensor:
    try:
        return torch.autograd.grad(loss, output, retain_graph=True)[0]
    except RuntimeError as error:
        if "second time" not in str(error):
            raise
        raise InvalidInputError(
            "closure: expected the loss with its graph, got one on which backward has been called"
        ) from error


@contextmanager
def _replaced(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> Iterator[None]:
    """Let parameters have other values for a while; what autograd has saved of them stays."""
    kept = [parameter.data for parameter in parameters]
    try:
        for parameter, value in zip(parameters, values, strict=True):
            parameter.data = value
        yield
    finally:
        for parameter, value in zip(parameters, kept, strict=True):
            parameter.data = value


def _stage_state(entry: dict[str, Any]) -> StageState:
    prefix = "curvature_"
    curvature = {k.removeprefix(prefix): v for k, v in entry.items() if k.startswith(prefix)}
    return StageState(curvature, entry["last"], entry.get("average"))


def _record_closure(
    model: nn.Module, game: GameGraph, closure: Callable[[], Tensor], others: Any
) -> Any:
    outputs: list[Tensor] = []

    def hook(_module: nn.Module, _args: object, output: Tensor) -> None:
        outputs.append(output)

    handle = model.register_forward_hook(hook)
    losses: list[Tensor] = []

    def forward() -> Tensor:
        losses.append(closure())
        if len(outputs) != 1:
            raise InvalidInputError(f"closure: expected one call of the model, got {len(outputs)}")
        return outputs[0]

    try:
        rollout = record_rollout(game.program, game.control_stages, forward, others, game.twins)
    finally:
        handle.remove()
    return rollout, losses[0]
