r"""The step of the trust region: stages choose their lengths jointly, the loss bounds them.

The lengths b of the stages' moves solve a stage game with the model H of the loss
(`stage_lengths`): n are the natural lengths of the directions. H is averaged over steps, so that
the batch at hand does not decide alone how far the controls move (a batch whose outputs are
saturated has almost no curvature, and would let the others down).

A step may use a part of what the loss has left to give. With `q = b' H b`, the change of the
outputs in the metric of the loss, `w = n' b`, the first-order promise, and `room = loss - bound`,

    length = min(e, sqrt(2 kappa s room / q), rho sqrt(s) room / w).

The radius falls with the loss: at constant radius (as in natural-gradient methods with a bound on
the divergence) steps are too long once the loss is small, because the Gauss-Newton metric of a
classifier vanishes with its loss. Where no bound of the loss is known, the room is half the promise
of the uncut step, or half of what it could be at most if that is known (`most_promise`). A learning
rate below one scales the room, one above one does not raise it;
stages with a smaller rate than others have their lengths scaled by the ratio.

The radius adapts by `s`: after a step along v that promised w, the gradient p of the next batch
tells, without another pass, how much slope was left, `sigma = -p' v / w`. It is near one while
steps are short, near zero where noise or overshooting leave nothing on the table. Its running mean
is compared with an aim: `s <- s exp(pace clamp((sigma - aim) / aim, -1, 1))`, within bounds. By
default s does not fall below one: on noisy batches sigma is near zero at any radius, and shrinking
would only slow the run down. The same sigma lets steps be longer than the model's, which damping
and ridge shorten: where the slope falls from w to `sigma w` along a step, it vanishes after
`e = 1 / (1 - sigma)` steps.

Last, no control moves far against its size, whatever the model says. A chain of L layers whose
weights change by relative amounts r_t changes its output by at most `prod_t (1 + r_t) - 1` of the
output's size (Bernstein et al., 2002.03432, theorem 1, for weights of condition number one). Each
stage's move is therefore cut to

    |move_t| <= (stretch^(1/L) - 1) |u_t|,    so that prod_t (1 + r_t) <= stretch.

On the first steps this binds: there the curvature of one batch has many directions without any.
"""

# torch's own optimizers are written with these functions; one call takes all stages.
# pyright: reportPrivateImportUsage=false

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ocngame._checks import in_range, positive
from ocngame.solvers.ocnopt.stage_lengths import (
    TINY,
    averaged_model,
    cooperative_lengths,
    inner_products,
)
from ocngame.solvers.ocnopt.step_rule import Proposal, Situation, StepLimit, StepRule

__all__ = ["TrustRegionStep"]


@dataclass(frozen=True, kw_only=True)
class TrustRegionStep(StepRule):
    """Coupled lengths of the stages within a trust region relative to the loss.

    Attributes:
        fraction: kappa, the part of the room that the second-order term may use, in (0, 1].
        promise: rho, the part of the room that the first-order term may promise, in (0, 1].
        ridge: r, how strongly the stages' lengths are kept alike.
        memory: Memory of H, of the loss and of sigma, in [0, 1).
        aim: The mean of sigma that the radius is adapted to, in (0, 1).
        pace: Largest change of log s in one step; 0 for a radius that does not adapt.
        least: Least s.
        most: Largest s.
        longest: Largest e, in multiples of the model's step; 1 never goes beyond it.
        stretch: Bound of prod (1 + r), above 1; infinity for none.
        growth: Largest trace of one batch's H, in multiples of the average's; infinity for none.
    """

    uses_columns: ClassVar[bool] = True
    needs_last: ClassVar[bool] = True
    needs_sizes: ClassVar[bool] = True

    fraction: float = 0.02
    promise: float = 0.4
    ridge: float = 1.0
    memory: float = 0.8
    aim: float = 0.05
    pace: float = 0.2
    least: float = 1.0
    most: float = 10.0
    longest: float = 10.0
    stretch: float = 20.0
    growth: float = math.inf

    def __post_init__(self) -> None:
        """Validate the settings."""
        in_range("fraction", self.fraction, low=0.0, high=1.0, low_open=True)
        in_range("promise", self.promise, low=0.0, high=1.0, low_open=True)
        positive("ridge", self.ridge)
        in_range("memory", self.memory, low=0.0, high=1.0, high_open=True)
        in_range("aim", self.aim, low=0.0, high=1.0, low_open=True, high_open=True)
        in_range("pace", self.pace, low=0.0, high=1.0)
        in_range("least", self.least, low=0.0, high=1.0, low_open=True)
        in_range("most", self.most, low=1.0, high=math.inf)
        in_range("longest", self.longest, low=1.0, high=math.inf, high_open=True)
        in_range("stretch", self.stretch, low=1.0, high=math.inf, low_open=True)
        in_range("growth", self.growth, low=1.0, high=math.inf)

    def propose(self, situation: Situation) -> Proposal:
        """Give the moves of the stages."""
        directions, limit = situation.directions[0], situation.limit
        slopes = inner_products(situation.averages, directions)
        natural = (-slopes).clamp_min(0).sqrt()
        scale = 1.0 / natural.clamp_min(TINY**0.5)
        memory = self._advanced(situation, scale)
        model = memory["model"]
        highest = max(limit.rates)
        shares = natural.new_tensor(limit.rates) / highest if highest > 0 else 0.0 * natural
        lengths = cooperative_lengths(model, natural, self.ridge)
        weights = lengths * scale / max(highest, TINY)
        lengths = shares * lengths
        count, sigma = len(directions), memory.get("sigma", torch.zeros_like(natural[0]))
        scalars = [
            natural @ lengths,
            lengths @ model @ lengths,
            memory["loss"],
            memory["radius"],
            sigma,
            slopes.sum(),
        ]
        changes = self._changes(limit, highest * shares * weights, directions)
        numbers = torch.cat([weights, changes, torch.stack(scalars)]).tolist()
        multiples, relative = numbers[:count], numbers[count : 2 * count]
        promise, used, loss, radius, left, slope = numbers[2 * count :]
        true = promise / situation.overstated
        cap = self._cap(limit, min(loss, limit.loss), true, used, radius, left)
        most = self.stretch ** (1 / count) - 1
        cuts = [cap * min(1.0, most / max(cap * change, TINY)) for change in relative]
        if min(cuts) < cap:
            lengths = natural.new_tensor(cuts) * lengths
            promise, used = torch.stack([natural @ lengths, lengths @ model @ lengths]).tolist()
        else:
            promise, used = cap * promise, cap**2 * used
        if cap > 1:
            # The model that lets a step be longer than its own minimum has less curvature.
            used = min(used, promise)
        memory["promised"] = natural.new_tensor(promise)
        factors = [cut * multiple for cut, multiple in zip(cuts, multiples, strict=True)]
        return Proposal(
            moves=[factor * d for factor, d in zip(factors, directions, strict=True)],
            length=highest * sum(factors) / count,
            predicted=-promise + 0.5 * used,
            cap=cap,
            finite=all(math.isfinite(number) for number in (used, promise, slope)),
            memory=memory,
        )

    def _advanced(self, situation: Situation, scale: Tensor) -> dict[str, Tensor]:
        """Advance the averages of H, of the loss and of sigma, and the radius s."""
        memory = dict(situation.memory)
        if "model" in memory and situation.fading < 1:
            memory["model"] = situation.fading * memory["model"]
        loss = scale.new_tensor(situation.limit.loss)
        memory["loss"] = memory["loss"].lerp(loss, 1 - self.memory) if memory else loss
        if "promised" in memory and situation.last is not None:
            left = -inner_products(situation.gradients, situation.last) @ scale.new_tensor(
                situation.limit.rates
            )
            sigma = (left / memory["promised"].clamp_min(TINY)).clamp(-1.0, 1.0)
            sigma = memory["sigma"].lerp(sigma, 1 - self.memory) if "sigma" in memory else sigma
            change = ((sigma - self.aim) / self.aim).clamp(-1.0, 1.0)
            radius = memory["radius"] * torch.exp(self.pace * change)
            memory |= {"sigma": sigma, "radius": radius.clamp(self.least, self.most)}
        else:
            memory["radius"] = torch.ones_like(loss)
        return memory | averaged_model(situation, scale, memory, self.memory, self.growth)

    def _cap(
        self,
        limit: StepLimit,
        loss: float,
        promise: float,
        used: float,
        radius: float,
        left: float,
    ) -> float:
        """Give the multiple of the move that the loss has room for."""
        if not (used > 0 and promise > 0):
            return 1.0
        most = math.inf if limit.most_promise is None else limit.most_promise
        room = 0.5 * min(promise, most) if limit.bound is None else max(loss - limit.bound, 0.0)
        room *= min(1.0, max(limit.rates))
        return min(
            1 / (1 - min(max(left, 0.0), 1 - 1 / self.longest)),
            math.sqrt(2 * self.fraction * radius * room / used),
            self.promise * math.sqrt(radius) * room / promise,
        )

    def _changes(self, limit: StepLimit, multiples: Tensor, directions: Sequence[Tensor]) -> Tensor:
        """Give the stages' moves over their sizes."""
        if limit.sizes is None or math.isinf(self.stretch):
            return torch.zeros_like(multiples)
        norms = torch.stack(torch._foreach_norm(list(directions))).to(multiples)
        return multiples.abs() * norms / limit.sizes
