r"""Dirac-GAN: the smallest GAN whose gradient flow does not converge.

Data are one point at 0, the generator's sample is x = theta, the discriminator is D(x) = psi x
(Mescheder, Geiger & Nowozin, 1801.04406, section 2). With `g(t) = -log(1 + exp(-t))`

    f^1 = g(theta psi) + g(0)        (the discriminator's value, which the generator lowers)
    f^2 = -f^1

The one equilibrium is (0, 0).
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ocngame.games.differentiable.ready import ReadyPlayers, from_control

__all__ = ["dirac_gan"]


def dirac_gan(
    start: tuple[float, float] = (1.0, 1.0), *, dtype: torch.dtype = torch.float64
) -> ReadyPlayers:
    """Make the game.

    Args:
        start: First theta and psi.
        dtype: Floating-point type.

    Returns:
        The game.
    """

    def value(theta: Tensor, psi: Tensor) -> Tensor:
        zero = torch.zeros_like(theta)
        return -(softplus(-theta * psi) + softplus(zero)).sum()

    values = [torch.tensor([number], dtype=dtype) for number in start]
    game = from_control(
        values, [value, lambda theta, psi: -value(theta, psi)], ["generator", "discriminator"]
    )
    return ReadyPlayers(name="dirac_gan", game=game, equilibrium=torch.zeros(2, dtype=dtype))
