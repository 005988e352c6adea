"""The times of a network as a control beside its weights: they answer the weights' move."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ocngame.errors import InvalidInputError, NonFiniteError
from ocngame.games.continuous import LearnedTimes, TimeBounds, TimeCost
from ocngame.solvers.horizon.averages import Averages
from ocngame.solvers.horizon.expansion import TimeExpansion
from ocngame.solvers.horizon.policy import TimePolicy, positive_part
from ocngame.solvers.horizon.polytope import nearest_in_polytope
from ocngame.solvers.horizon.rules import FirstOrderTimes, SecondOrderTimes
from ocngame.solvers.ocnopt import FallbackRule

__all__ = ["TimeControl", "TimeMove"]

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class TimeMove:
    """What became of the times in a step.

    Attributes:
        times: The times after the step.
        accepted: Whether the times moved; with non-finite numbers they stay.
        feedforward: k, the part of the wished move that the weights' move has no part in; of the
            first-order rule all of it.
        feedback: K du, the answer to the weights' move.
        move: The move made, within radius and bounds.
        predicted: Change of the batch's loss, running cost included, that the model of the loss
            promises for this move after the weights'; of the first-order rule the linear part.
        active: The bounds that hold the times back.
        evaluations: Evaluations of the field in a pass at the new times.
    """

    times: tuple[float, ...]
    accepted: bool = False
    feedforward: tuple[float, ...] = ()
    feedback: tuple[float, ...] = ()
    move: tuple[float, ...] = ()
    predicted: float = 0.0
    active: tuple[str, ...] = ()
    evaluations: int = 0


class TimeControl:
    """Moves the times of a network, next to an optimizer of everything else.

    While it lives it takes the gradients of the times away as soon as they are there, so that the
    optimizer of the weights does not move them.

    Attributes:
        times: The times.
        rule: By which rule they move.
        cost: What a pass costs.
        steps: Steps made.
        refused: Steps in which the times stayed because of non-finite numbers.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        *,
        rule: SecondOrderTimes | FirstOrderTimes | None = None,
        bounds: TimeBounds | None = None,
        cost: TimeCost | None = None,
    ):
        """Take over the times of a network.

        Args:
            model: The network, with one or more `NeuralODE(..., learn_times=True)` inside.
            loss: Mean loss of (output, target); `nn.CrossEntropyLoss()` if None.
            rule: By which rule the times move; the second-order policy if None.
            bounds: What the times may be.
            cost: What a pass costs; nothing if None.

        Raises:
            InvalidInputError: if the network has no trainable times, or they are out of bounds.
        """
        self.times = LearnedTimes(model, bounds if bounds is not None else TimeBounds())
        self.rule = rule if rule is not None else SecondOrderTimes()
        if not isinstance(self.rule, SecondOrderTimes | FirstOrderTimes):
            raise InvalidInputError(
                f"rule: expected a SecondOrderTimes or a FirstOrderTimes, got {rule!r}"
            )
        self.cost = cost if cost is not None else TimeCost()
        self.loss = loss if loss is not None else nn.CrossEntropyLoss()
        self.steps = 0
        self.refused = 0
        self._gradient = torch.zeros_like(self.times.read())
        self._adam = {name: torch.zeros_like(self._gradient) for name in ("mean", "square")}
        self._average = Averages.zero(len(self._gradient))
        first = 0
        self._handles = []
        for parameter in self.times.parameters:
            place = slice(first, first + len(parameter))
            self._handles.append(
                parameter.register_post_accumulate_grad_hook(_Taker(self._gradient, place))
            )
            first += len(parameter)

    def close(self) -> None:
        """Give the times free; another optimizer may move them from now on."""
        for handle in self._handles:
            handle.remove()

    def step(self, move: Callable[[], Result], x: Any, y: Tensor) -> tuple[Result, TimeMove]:
        """Let the weights move, and the times after them.

        Args:
            move: Makes a step of the weights on the batch, such as `lambda: opt.step(x, y)`. For
                the first-order rule it must run a backward pass.
            x: Input of the network.
            y: Target.

        Returns:
            What `move` gave, and what became of the times.
        """
        self._gradient.zero_()
        waited = self.steps - self.rule.start
        if waited < 0:
            result, made = move(), self._still(accepted=True)
        elif isinstance(self.rule, FirstOrderTimes):
            result = move()
            made = self._first_order(self.rule)
        elif waited % self.rule.every:
            result, made = move(), self._still(accepted=True)
        else:
            expansion = self._expansion(self.rule, x, y)
            before = self._controls()
            result = move()
            after = self._controls()
            du = {name: after[name] - before[name] for name in before}
            made = self._second_order(self.rule, expansion, du)
        self.steps += 1
        self.refused += not made.accepted
        return result, made

    def policy(self, x: Any, y: Tensor) -> TimePolicy | None:
        """Give the second-order policy of a batch.

        Args:
            x: Input of the network.
            y: Target.

        Returns:
            The policy; None if its numbers are not finite.

        Raises:
            InvalidInputError: if the rule is not the second-order one.
        """
        if not isinstance(self.rule, SecondOrderTimes):
            raise InvalidInputError("rule: expected SecondOrderTimes for a policy, got another")
        found = self._expansion(self.rule, x, y)
        return None if found is None else TimePolicy(found, found.q_t, positive_part(found.q_tt))

    def state_dict(self) -> dict[str, Any]:
        """Give what the next step depends on besides the network.

        Returns:
            Plain containers of tensors and numbers.
        """
        adam = {name: value.clone() for name, value in self._adam.items()}
        average = self._average.as_dict()
        return {"steps": self.steps, "refused": self.refused, "adam": adam, "average": average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Args:
            state: What `state_dict` gave.
        """
        self.steps, self.refused = state["steps"], state["refused"]
        self._adam = {name: value.clone() for name, value in state["adam"].items()}
        self._average = Averages(**state["average"])

    def _controls(self) -> dict[str, Tensor]:
        held = set(self.times.names)
        parameters = self.times.model.named_parameters()
        return {n: p.detach().clone() for n, p in parameters if p.requires_grad and n not in held}

    def _expansion(self, rule: SecondOrderTimes, x: Any, y: Tensor) -> TimeExpansion | None:
        try:
            return rule.curvature.expand(self.times, self.loss, x, y, self.cost)
        except NonFiniteError as error:
            _log.warning("times stay (%s)", error)
            return None

    def _second_order(
        self, rule: SecondOrderTimes, expansion: TimeExpansion | None, du: dict[str, Tensor]
    ) -> TimeMove:
        if expansion is None:
            return self._still()
        average = self._average.taken_in(expansion, rule.memory)
        policy = TimePolicy(expansion, average.slope, positive_part(average.curvature))
        feedforward = policy.feedforward
        wished = policy.move(du)
        if not bool(torch.isfinite(wished).all()):
            _log.warning("times stay (the move of the weights is not finite)")
            return self._still()
        move, active = self._within(wished, policy.curvature, rule.radius)
        self._average = average
        return self._moved(
            move,
            feedforward=tuple(feedforward.tolist()),
            feedback=tuple((wished - feedforward).tolist()),
            predicted=policy.predicted(du, move),
            active=active,
        )

    def _first_order(self, rule: FirstOrderTimes) -> TimeMove:
        gradient = self._gradient + self.times.cost(self.cost)[1]
        if not bool(torch.isfinite(gradient).all()):
            _log.warning("times stay (their gradient is not finite)")
            return self._still()
        adam = FallbackRule(rate=rule.lr, beta_1=rule.beta_1, beta_2=rule.beta_2)
        self._adam = adam.advance(self._adam, gradient)
        wished = self._adam["last"]
        move, active = self._within(wished, torch.eye(len(wished), dtype=torch.float64), None)
        return self._moved(
            move,
            feedforward=tuple(wished.tolist()),
            feedback=(0.0,) * len(wished),
            predicted=float(gradient @ move),
            active=active,
        )

    def _within(
        self, wished: Tensor, metric: Tensor, radius: float | None
    ) -> tuple[Tensor, tuple[str, ...]]:
        rows, limits, said = self.times.constraints()
        limits = limits - rows @ self.times.read()
        count = len(said)
        if radius is not None:
            box = torch.eye(len(wished), dtype=torch.float64)
            reach = radius * self.times.horizons()
            rows = torch.cat([rows, box, -box])
            limits = torch.cat([limits, reach, reach])
        # times in single precision may lie outside by their rounding; they may stay where they are
        move, active = nearest_in_polytope(wished, metric, rows, limits.clamp(min=0.0))
        return move, tuple(said[i] for i in active if i < count)

    def _moved(self, move: Tensor, **said: Any) -> TimeMove:
        self.times.write(self.times.read() + move)
        now = tuple(self.times.read().tolist())
        made = tuple(move.tolist())
        count = self.times.evaluations()
        return TimeMove(times=now, accepted=True, move=made, evaluations=count, **said)

    def _still(self, *, accepted: bool = False) -> TimeMove:
        now = self.times.read()
        zeros = tuple(torch.zeros_like(now).tolist())
        return TimeMove(
            times=tuple(now.tolist()),
            accepted=accepted,
            feedforward=zeros,
            feedback=zeros,
            move=zeros,
            evaluations=self.times.evaluations(),
        )


class _Taker:
    """Takes a gradient away as soon as it is there."""

    def __init__(self, into: Tensor, place: slice):
        self.into, self.place = into, place

    def __call__(self, parameter: Tensor) -> None:
        if parameter.grad is not None:
            self.into[self.place] += parameter.grad.detach().double().cpu()
        parameter.grad = None
