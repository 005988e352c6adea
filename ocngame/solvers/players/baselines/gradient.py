r"""Gradient play: simultaneous, `u <- u - lr xi(u)`, and alternating, one player after another."""

from typing import Any

from torch import Tensor

from ocngame.solvers.players.baselines.base import FirstOrder

__all__ = ["AlternatingGradient", "SimultaneousGradient"]


class SimultaneousGradient(FirstOrder):
    """All players move at once, each down its own gradient."""

    def _advance(self, control: Tensor, slope: Tensor, batch: tuple[Any, ...]) -> Tensor:
        return control - self.lr * slope


class AlternatingGradient(FirstOrder):
    """The players move in turn, each seeing the moves before its own."""

    def _advance(self, control: Tensor, slope: Tensor, batch: tuple[Any, ...]) -> Tensor:
        control = control.clone()
        for i, block in enumerate(self.game.control_slices):
            if i > 0:
                _, slope = self._gradient(control, batch)
            control[block] -= self.lr * slope[block]
        return control
