r"""Derivatives of the loss of a batch in the times, and across the times and the controls.

    J(u, T) = loss(net(x; u, T), y) + r(T),

where the net has a differential equation inside, which is solved by the steps that it is solved by
otherwise. `Q_T, Q_TT, Q_Tu` are derivatives of that discrete map; as the steps become small they
are those of the continuous flow, of which `Q_T = phi_x' F(T, x_T, u) + r_T` (arXiv 2109.14158,
section 3.4, where the last two are the Gauss-Newton ones and belong to the end of time alone).

* `ExactTimes`: `Q_TT = J_TT` and `Q_Tu = J_Tu` by a second backward pass for every time; not in the
  mode `adjoint`, whose backward equations have no derivative.
* `GaussNewtonTimes`: with `D = dy/dT` the tangents of the output, one forward pass for every time,
  and H the Hessian of the loss in the output, `Q_TT = D' H D` and `Q_Tu = D' H dy/du`.
  `Q_TT` is not negative where the loss is convex in the output.

Axes: k, l count times, then the axes of a parameter: `q_t[k]`, `q_tt[k, l]`, `q_tu[name][k, ...]`.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from ocngame.errors import InvalidInputError, NonFiniteError
from ocngame.games.continuous import LearnedTimes, TimeCost
from ocngame.games.replay import RandomState, replayed

__all__ = ["ExactTimes", "GaussNewtonTimes", "TimeCurvature", "TimeExpansion"]

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class TimeExpansion:
    """Second-order expansion of a batch's loss in the times.

    Attributes:
        loss: J, the running cost included.
        q_t: Q_T, shape (K,).
        q_tt: Q_TT, shape (K, K).
        q_tu: Q_Tu by the names of the parameters, shape (K, ...) each.
    """

    loss: float
    q_t: Tensor
    q_tt: Tensor
    q_tu: dict[str, Tensor]

    def finite(self) -> bool:
        """Say whether all numbers are finite."""
        parts = [self.q_t, self.q_tt, *self.q_tu.values()]
        return all(bool(torch.isfinite(part).all()) for part in parts)


@dataclass(frozen=True)
class _Batch:
    """A pass of the network on a batch, as a function of parameters.

    Attributes:
        run: Gives the output at times (and other parameters) by their names.
        ends: The times by the names of their parameters.
        controls: The trained parameters that are no times.
        y: Target.
    """

    run: Callable[[dict[str, Tensor]], Tensor]
    ends: dict[str, Tensor]
    controls: dict[str, nn.Parameter]
    y: Tensor


class TimeCurvature(ABC):
    """Which second derivatives are taken.

    Attributes:
        twice: Whether the backward pass is differentiated.
    """

    twice: ClassVar[bool] = False

    def expand(
        self, times: LearnedTimes, loss: Loss, x: Any, y: Tensor, cost: TimeCost
    ) -> TimeExpansion:
        """Expand the loss of a batch; neither gradients nor statistics nor random numbers change.

        Args:
            times: The times of the network.
            loss: Mean loss of (output, target).
            x: Input of the network.
            y: Target.
            cost: The running cost.

        Returns:
            The expansion.

        Raises:
            InvalidInputError: if the output is no tensor, or the network has no such derivatives.
            NonFiniteError: if a number is not finite.
        """
        model = times.model
        named = dict(model.named_parameters())
        ends = {name: named.pop(name).detach() for name in times.names}
        controls = {name: p for name, p in named.items() if p.requires_grad}

        def run(at: dict[str, Tensor]) -> Tensor:
            with replayed(model, RandomState.now()):
                output = functional_call(model, at, (x,))
            if not isinstance(output, Tensor):
                raise InvalidInputError(
                    f"model: expected a tensor as output, got {type(output).__name__}"
                )
            return output

        for name, block in times.blocks.items():
            if self.twice and block.adjoint is not None:
                raise InvalidInputError(
                    f"curvature: expected GaussNewtonTimes for block {name!r} in the mode "
                    f"'adjoint', got {type(self).__name__}"
                )
        with torch.enable_grad():
            found = self._expand(_Batch(run, ends, controls, y), loss)
        value, slope = times.cost(cost)
        made = TimeExpansion(
            loss=found.loss + value,
            q_t=found.q_t.double().cpu() + slope,
            q_tt=found.q_tt.double().cpu(),
            q_tu=found.q_tu,
        )
        if not made.finite():
            raise NonFiniteError("times: expected finite derivatives, got NaN or infinity")
        return made

    @abstractmethod
    def _expand(self, batch: _Batch, loss: Loss) -> TimeExpansion: ...


@dataclass(frozen=True, kw_only=True)
class ExactTimes(TimeCurvature):
    """The second derivatives of the loss as they are, which may be negative."""

    twice: ClassVar[bool] = True

    def _expand(self, batch: _Batch, loss: Loss) -> TimeExpansion:
        at = {name: value.clone().requires_grad_() for name, value in batch.ends.items()}
        moved, points = list(batch.controls.values()), list(at.values())
        found = loss(batch.run(at), batch.y)
        slopes = torch.cat(_grad(found, points, create_graph=True))
        rows = [_grad(slope, [*points, *moved], retain_graph=True) for slope in slopes]
        return _expansion(
            float(found.detach()),
            slopes.detach(),
            torch.stack([torch.cat(row[: len(points)]) for row in rows]),
            batch.controls,
            [row[len(points) :] for row in rows],
        )


@dataclass(frozen=True, kw_only=True)
class GaussNewtonTimes(TimeCurvature):
    """The Gauss-Newton part of the second derivatives."""

    def _expand(self, batch: _Batch, loss: Loss) -> TimeExpansion:
        directions = [(name, row) for name, ends in batch.ends.items() for row in _identity(ends)]
        *others, last = directions
        with torch.no_grad():
            tangents = [_pushed(batch, *direction)[1] for direction in others]
        output, tangent = _pushed(batch, *last)
        tangents.append(tangent)
        at = output.detach().requires_grad_()
        found = loss(at, batch.y)
        (gradient,) = _grad(found, [at], create_graph=True)
        curved = [_grad(gradient, [at], outputs=t, retain_graph=True)[0] for t in tangents]
        moved = list(batch.controls.values())
        rows = [_grad(output, moved, outputs=c, retain_graph=True) for c in curved]
        d, hd = torch.stack(tangents).flatten(1), torch.stack(curved).flatten(1)
        slopes, curvature = d @ gradient.detach().flatten(), d @ hd.T
        return _expansion(float(found.detach()), slopes, curvature, batch.controls, rows)


def _identity(value: Tensor) -> Tensor:
    return torch.eye(len(value), dtype=value.dtype, device=value.device)


def _pushed(batch: _Batch, name: str, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Give the output and its tangent in a direction of one block's times."""
    with forward_ad.dual_level():
        with warnings.catch_warnings():
            # at its first use torch compiles rules of its own by a function that it deprecates
            warnings.filterwarnings("ignore", r".*torch\.jit", DeprecationWarning)
            dual = {name: forward_ad.make_dual(batch.ends[name], direction)}
        output, tangent = forward_ad.unpack_dual(batch.run({**batch.ends, **dual}))
    return output, torch.zeros_like(output) if tangent is None else tangent.detach()


def _expansion(
    loss: float,
    slopes: Tensor,
    curvature: Tensor,
    controls: dict[str, nn.Parameter],
    rows: Sequence[Sequence[Tensor]],
) -> TimeExpansion:
    across = {
        name: torch.stack([row[i] for row in rows]).detach() for i, name in enumerate(controls)
    }
    return TimeExpansion(
        loss=loss, q_t=slopes, q_tt=(curvature + curvature.T).detach() / 2, q_tu=across
    )


def _grad(
    of: Tensor,
    inputs: Sequence[Tensor],
    *,
    outputs: Tensor | None = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> tuple[Tensor, ...]:
    """Differentiate; what does not depend on an input has the derivative zero."""
    if not of.requires_grad or not inputs:
        return tuple(torch.zeros_like(value) for value in inputs)
    return torch.autograd.grad(
        of,
        inputs,
        outputs,
        create_graph=create_graph,
        retain_graph=retain_graph,
        materialize_grads=True,
    )
