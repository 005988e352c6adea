r"""A step that moves a distribution no farther than a given divergence.

Where the columns are those of the Fisher matrix of the distribution that the outputs describe, and
not of the loss, the Gauss-Newton model of a move is the second-order model of the mean divergence
between the distributions before and after it,

    KL(before || after) = 1/2 move' F move + O(move^3),    F = (1/B) sum_{c,k} z_ck z_ck'

(Amari, 1998; Kakade, 2001), and the directions are natural gradients of whatever loss is descended.
The stages choose their lengths b jointly (`stage_lengths`), and the whole move is cut to

    length = min(1, sqrt(2 delta / q)),    q = b' H b = move' F move.

Near an optimum of the loss the uncut move is short and the bound does not bind; elsewhere the bound
takes the place of a learning rate (as in Schulman et al., 2015, 1502.05477, which always moves to
the bound). The learning rate scales the move, and with its square the divergence.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from ocngame._checks import in_range, positive
from ocngame.solvers.ocnopt.stage_lengths import (
    TINY,
    averaged_model,
    cooperative_lengths,
    inner_products,
)
from ocngame.solvers.ocnopt.step_rule import Proposal, Situation, StepRule

__all__ = ["DivergenceStep"]


@dataclass(frozen=True, kw_only=True)
class DivergenceStep(StepRule):
    """Coupled lengths of the stages within a bound on the divergence.

    Attributes:
        divergence: delta, the largest divergence of one step at learning rate 1, in nats.
        ridge: r, how strongly the stages' lengths are kept alike.
        memory: Memory of H, in [0, 1).
    """

    uses_columns: ClassVar[bool] = True

    divergence: float = 3e-3
    ridge: float = 1.0
    memory: float = 0.8

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("divergence", self.divergence)
        positive("ridge", self.ridge)
        in_range("memory", self.memory, low=0.0, high=1.0, high_open=True)

    def propose(self, situation: Situation) -> Proposal:
        """Give the moves of the stages."""
        directions, rates = situation.directions[0], situation.limit.rates
        slopes = inner_products(situation.averages, directions)
        natural = (-slopes).clamp_min(0).sqrt()
        scale = 1.0 / natural.clamp_min(TINY**0.5)
        memory = dict(situation.memory)
        memory |= averaged_model(situation, scale, memory, self.memory)
        model = memory["model"]
        lengths = cooperative_lengths(model, natural, self.ridge)
        weights = lengths * scale
        moved = lengths * natural.new_tensor(rates)
        *multiples, used, promised, whole, slope = torch.stack(
            [
                *weights,
                lengths @ model @ lengths,
                natural @ moved,
                moved @ model @ moved,
                slopes.sum(),
            ]
        ).tolist()
        cap = min(1.0, math.sqrt(2 * self.divergence / used)) if used > 0 else 1.0
        return Proposal(
            moves=[multiple * cap * d for multiple, d in zip(multiples, directions, strict=True)],
            length=cap * sum(multiples) / len(multiples),
            predicted=-cap * promised + 0.5 * cap**2 * whole,
            cap=cap,
            finite=all(math.isfinite(number) for number in (used, promised, slope)),
            memory=memory,
        )
