r"""Extragradient (Korpelevich, 1976): `v = u - lr xi(u)`, then `u <- u - lr xi(v)`."""

from typing import Any

from torch import Tensor

from ocngame.solvers.players.baselines.base import FirstOrder

__all__ = ["Extragradient"]


class Extragradient(FirstOrder):
    """A step along the gradients found one step ahead."""

    def _advance(self, control: Tensor, slope: Tensor, batch: tuple[Any, ...]) -> Tensor:
        _, ahead = self._gradient(control - self.lr * slope, batch)
        return control - self.lr * ahead
