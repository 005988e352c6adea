"""OCNOpt as a torch optimizer."""

import logging
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ocngame._checks import non_negative
from ocngame.curvature import OutputHessian, output_hessian
from ocngame.errors import InvalidInputError, NonFiniteError
from ocngame.games.graph import GameGraph
from ocngame.games.live_rollout import LiveRollout
from ocngame.games.network_control import NetworkControl
from ocngame.games.rollout import trained_controls
from ocngame.solvers.ocnopt import storage
from ocngame.solvers.ocnopt.batch import Batch, BatchReader
from ocngame.solvers.ocnopt.config import Feedback, OCNOptConfig, Sweep
from ocngame.solvers.ocnopt.core import (
    Derivatives,
    SolverState,
    gradients_of,
    init_state,
    propose_move,
)
from ocngame.solvers.ocnopt.damping import Judge
from ocngame.solvers.ocnopt.decay import CONSTANT_WEIGHT_DECAY, WEIGHT_DECAY
from ocngame.solvers.ocnopt.estimate import Estimate, estimate_work
from ocngame.solvers.ocnopt.groups import (
    Rates,
    checked_group,
    completed,
    note_peaks,
    require_same_parameters,
)
from ocngame.solvers.ocnopt.moves import (
    apply_moves,
    control_sizes,
    judged_ratio,
    move_others,
)
from ocngame.solvers.ocnopt.precision import full_precision
from ocngame.solvers.ocnopt.ranks import require_supported, unwrapped
from ocngame.solvers.ocnopt.report import StepInfo
from ocngame.solvers.ocnopt.step_rule import StepLimit
from ocngame.solvers.ocnopt.team import Team

__all__ = ["OCNOpt"]

_log = logging.getLogger(__name__)

_SPIKE = 1e8
"""How many times the usual loss a batch may have; more would fill the averages for good."""


class OCNOpt(torch.optim.Optimizer):
    """Optimal-control optimizer: a network is a dynamic game, a step is a Bellman recursion on it.

    Needs no learning rate: the step length comes from the Gauss-Newton model of the loss. `lr`
    scales that length, so torch's schedulers work.

    Two ways to use it. `step(x, y)` or `step(closure)` makes a whole step. `backward(closure)` adds
    a batch's gradients to `.grad` as often as wanted (to accumulate them), and after whatever is
    done to `.grad` (clipping), `step()` moves.
    """

    # GradScaler then hands over its scale instead of calling `step` on scaled losses.
    _step_supports_amp_scaling = True

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module | None = None,
        *,
        lr: float = 1.0,
        weight_decay: float | None = None,
        groups: Sequence[Mapping[str, Any]] = (),
        config: OCNOptConfig | None = None,
        hessian: OutputHessian | None = None,
        seed: int = 0,
        example_input: Tensor | None = None,
        blocks: Collection[type[nn.Module] | str] = (),
    ):
        """Build the game of a network and the optimizer that plays it.

        Args:
            model: The network, perhaps compiled or under `DistributedDataParallel`: then all
                processes make the step of one that has the whole batch. Parameters that no stage
                of its game covers are listed in `game.uncovered`; they move by `config.fallback`.
            loss: Mean loss of (output, target); `nn.CrossEntropyLoss()` if None.
            lr: Scale of the step; 1 is the model's own length.
            weight_decay: Decoupled weight decay: a step takes away
                `lr weight_decay (1 - lr / highest lr so far)^2` of a weight (`config.decay` says
                from which entries, `config.decay_growth` is the power). It sets in as a schedule
                lowers `lr`; without a schedule nothing decays unless `decay_growth` is 0. Offsets
                and scales decay only in a group with a weight decay of its own. None for 0.15, or
                for 3e-3 if `decay_growth` is 0.
            groups: Torch's parameter groups, each with "params" and options of its own ("lr",
                "weight_decay"); all other parameters form one more group.
            config: Settings of the method.
            hessian: Output Hessian of the loss, for losses that are not known.
            seed: Seed of the random columns.
            example_input: Network input; tells the shapes that cooperating players need to know.
            blocks: Classes or module paths of parts that cannot be traced, one stage each; their
                parameters move by `config.fallback`.

        Raises:
            InvalidInputError: if an argument is out of range.
            UnsupportedModuleError: if the model cannot be traced or no stage has a control.
        """
        non_negative("lr", lr)
        self.model = model
        self.loss = loss if loss is not None else nn.CrossEntropyLoss()
        self.config = config if config is not None else OCNOptConfig()
        if weight_decay is None:
            grows = self.config.decay_growth > 0
            weight_decay = WEIGHT_DECAY if grows else CONSTANT_WEIGHT_DECAY
        non_negative("weight_decay", weight_decay)
        if self.config.uses_columns and hessian is None:
            hessian = output_hessian(self.loss)
        self.hessian = hessian
        plain, ranks = unwrapped(model)
        self.game = GameGraph.from_module(plain, example_input, "single", blocks)
        self.generator = torch.Generator().manual_seed(seed)
        require_supported(ranks, self.game, self.config, hessian)
        together = self.config.cooperation
        self.team = None if together is None else Team(together, self.game, self.generator)
        self._others = [plain.get_parameter(name) for name in self.game.uncovered]
        self._reader = BatchReader(
            model=plain,
            game=self.game,
            hessian=hessian,
            config=self.config,
            generator=self.generator,
            ranks=ranks,
        )
        self._all = list(plain.parameters())
        self._cached: tuple[list[bool], list[NetworkControl]] = ([], [])
        self._solver: SolverState | None = None
        self._place: tuple[torch.dtype, torch.device] | None = None
        self._batches: list[Batch] = []
        self._refused = 0
        super().__init__(completed(plain, groups), {"lr": lr, "weight_decay": weight_decay})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group; all parameters of the model are in one from the start.

        Args:
            param_group: "params" and options.

        Raises:
            InvalidInputError: if a parameter is not the model's: no game has it, it would not move.
        """
        super().add_param_group(checked_group(self._reader.model, param_group))

    def backward(self, closure: Callable[[], Tensor]) -> Tensor:
        """Run a batch and add its gradients to `.grad`; takes the place of `loss.backward()`.

        The next `step()` uses what has been added. Where the step measures curvature, it is that of
        the last batch; the losses of several add up, so divide each by their number.

        Args:
            closure: Runs the model once and returns the loss, without calling `backward`.

        Returns:
            The loss, without a graph.
        """
        measures = self.config.measures(self._state(self._controls()).step)
        if measures:
            require_same_parameters(self._reader.model, self._all)
        self._batches.append(self._reader.read(closure, measures))
        return self._batches[-1].loss

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        x: Any = None,
        y: Tensor | None = None,
        *,
        closure: Callable[[], Tensor | None] | None = None,
    ) -> StepInfo:
        """Make one step.

        Args:
            x: Network input, or a closure that runs the model once and returns the loss without
                calling `backward`; None to use what `backward` has added to `.grad`.
            y: Target of the input.
            closure: The closure by the name that frameworks use; after `backward`, one that does
                nothing.

        Returns:
            What happened. A step with a loss that is not finite or beyond all measure, with such a
            gradient or move, or with an equation that its solver cannot follow, leaves controls
            and solver state unchanged; only a damping rule that adapts raises lambda.

        Raises:
            InvalidInputError: if the target is missing, the closure has called `backward`, or there
                is nothing to step from.
        """
        if "found_inf" in self.__dict__:
            for name in ("found_inf", "grad_scale"):
                self.__dict__.pop(name, None)
            raise InvalidInputError(
                "GradScaler: expected none, got one; use autocast with bfloat16 without it"
            )
        if closure is not None:
            x = self._asked(x, closure)
        if x is not None:
            self.zero_grad()
            self._batches.clear()
            signs = self.generator.get_state()
            try:
                self.backward(self._closure(x, y))
            except NonFiniteError as error:
                # What an equation inside the network had come to before it failed is dropped.
                self.zero_grad()
                return self._refuse(signs, math.nan, str(error))
        if not self._batches:
            raise InvalidInputError(
                "x: expected a batch, a closure, or a call of backward before the step, got none"
            )
        batches, self._batches = self._batches, []
        with full_precision():
            return self._step(batches[-1], float(sum(batch.loss for batch in batches)), x)

    def _step(self, batch: Batch, loss: float, x: Any) -> StepInfo:
        controls = self._controls()
        state = self._state(controls)
        if not math.isfinite(loss):
            return self._refuse(batch.signs, loss, "loss: expected a finite number")
        # A smaller loss is no spike whatever is usual, and what is usual is on the device.
        known = loss > 0.5 * _SPIKE and "loss" in state.memory
        usual = float(state.memory["loss"]) if known else math.inf
        if loss - usual > _SPIKE * max(1.0, abs(usual)):
            what = f"loss: expected at most {_SPIKE:g} times {usual:g}, the usual, got {loss:g}"
            return self._refuse(batch.signs, loss, what)
        rates = Rates(self.param_groups, self.config.decay_growth)
        rule, ratio = self.config.damping, math.nan
        own = float(batch.loss)
        if rule.judge is Judge.NEXT_BATCH and rule.measures(state.step - 1) and state.step > 0:
            state, ratio = judged_ratio(self, state, controls, self._others, own, batch.measure)
        remembered = None
        if self.team is not None:
            remembered = self.team.save()
            self.team.learn(own, -ratio * state.predicted)
        derivatives = Derivatives(
            gradients=gradients_of(controls),
            columns=batch.columns,
            samples=batch.samples,
        )
        hessian = self.hessian
        limit = StepLimit(
            rates=rates.of_controls(controls),
            loss=loss,
            bound=None if hessian is None else hessian.lower_bound,
            most_promise=None if hessian is None else hessian.most_promise,
            sizes=control_sizes(controls) if self.config.step.needs_sizes else None,
        )
        try:
            with torch.no_grad():
                new, proposal, directions = propose_move(
                    self.config,
                    state,
                    controls,
                    derivatives,
                    limit,
                    self._live(x, batch),
                    None if self.team is None else partial(self.team.move, controls),
                )
                others = move_others(self, self._others, rates)
        except NonFiniteError as error:
            if self.team is not None and remembered is not None:
                self.team.load(remembered)
            return self._refuse(batch.signs, loss, str(error))
        apply_moves(controls, proposal.moves, rates, self.config.decay)
        note_peaks(self.param_groups)
        predicted = proposal.predicted + others
        damping = state.damping
        if rule.judge is Judge.SAME_BATCH and rule.measures(state.step) and predicted < 0:
            ratio = (float(batch.measure()) - own) / predicted
            damping = rule.adjusted(damping, ratio)
        self._solver = replace(new, predicted=predicted, damping=damping)
        return StepInfo(
            loss=loss,
            accepted=True,
            measured=batch.columns is not None,
            length=proposal.length,
            cap=proposal.cap,
            momentum=proposal.momentum,
            damping=state.damping,
            predicted=predicted,
            ratio=ratio,
            removed=int(directions.removed) if directions.removed is not None else 0,
            refused=self._refused,
        )

    def _asked(self, x: Any, closure: Callable[[], Tensor | None]) -> Any:
        if x is not None:
            raise InvalidInputError("closure: expected none beside x, got both")
        if self._batches and closure() is not None:
            raise InvalidInputError(
                "closure: expected one that returns None after a call of backward, got a loss"
            )
        return None if self._batches else closure

    def _closure(self, x: Any, y: Tensor | None) -> Callable[[], Tensor]:
        if not isinstance(x, Tensor) and callable(x):
            closure: Any = x
            return closure
        if y is None:
            raise InvalidInputError("y: expected a target, got None")
        return lambda: self.loss(self.model(x), y)

    def estimate(self, x: Any, y: Tensor | None = None) -> Estimate:
        """Tell what training takes, before it starts.

        Args:
            x: Network input, or a closure that runs the model once and returns the loss.
            y: Target of the input.

        Returns:
            Bytes of state and work of a step; nothing is changed.
        """
        controls = self._controls()
        state = init_state(self.config, controls)
        closure = self._closure(x, y)
        uncovered = self.game.uncovered
        return estimate_work(self._reader, state, controls, self._others, closure, uncovered)

    def state_dict(self) -> dict[str, Any]:
        """Give all that a later run needs to go on bitwise as this one would.

        Returns:
            Plain containers of tensors and numbers.
        """
        if self._solver is not None:
            storage.save(self, self._controls(), self._solver)
        return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave.

        Args:
            state_dict: The state; tensors may be on another device.
        """
        super().load_state_dict(state_dict)
        self._solver = None
        self._batches.clear()

    def _controls(self) -> list[NetworkControl]:
        trained = [parameter.requires_grad for parameter in self._all]
        if trained != self._cached[0]:
            controls = trained_controls(self.game.program, self.game.control_stages)
            if not controls:
                raise InvalidInputError(
                    "model: expected a parameter of a stage to train, got all of them frozen"
                )
            if self._cached[0]:
                _log.info("the trained parameters have changed; the solver starts anew")
                self._solver = init_state(self.config, controls)
                self._place = _place(controls)
            self._cached = (trained, controls)
        return self._cached[1]

    def _state(self, controls: Sequence[NetworkControl]) -> SolverState:
        if self._solver is None:
            self._solver = storage.load(self, controls)
            self._place = _place(controls)
        elif self._place != _place(controls):
            self.load_state_dict(self.state_dict())
            return self._state(controls)
        return self._solver

    def _live(self, x: Any, batch: Batch) -> LiveRollout | None:
        if self.config.sweep is not Sweep.ROLLOUT or self.config.feedback is Feedback.OFF:
            return None
        if not isinstance(x, Tensor):
            raise InvalidInputError(
                "x: expected the network input for a rollout sweep, got a closure"
            )
        live = LiveRollout(self.game, x, batch.start)
        assert batch.seeds is not None  # noqa: S101 - feedback measures every step
        live.attach(batch.seeds)
        return live

    def _refuse(self, signs: Tensor, loss: float, what: str) -> StepInfo:
        state = self._state(self._controls())
        raised = self.config.damping.adjusted(state.damping, math.nan)
        self._solver = replace(state, damping=raised)
        self._refused += 1
        self.generator.set_state(signs)
        _log.warning("step refused (%s); controls and state are unchanged", what)
        return StepInfo(loss=loss, accepted=False, damping=state.damping, refused=self._refused)


def _place(controls: Sequence[NetworkControl]) -> tuple[torch.dtype, torch.device]:
    like = controls[0].parameters[0]
    return like.dtype, like.device
