r"""A GAN on a mixture of Gaussians in the plane: on a ring of 8, or on a grid of 25.

Generator G and discriminator D are ReLU networks; z is standard normal, x a sample of the mixture
(scaled so that its coordinates are of order one), S the logistic function. The costs are those of
the nonsaturating GAN (Goodfellow et al., 1406.2661, section 3) with the zero-centred gradient
penalty on the data (R1; Mescheder, Geiger & Nowozin, 1801.04406, equation 9):

    f_G = -E log S(D(G(z)))
    f_D = -E log S(D(x)) - E log(1 - S(D(G(z)))) + penalty / 2 E |d D / d x|^2

A sample is of high quality within three standard deviations of a mode; a mode is covered if at
least a share of 1 / (5 modes) of the samples is of high quality and nearest to it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ocngame._checks import integer, non_negative, one_of
from ocngame.games.differentiable.ready import ReadyPlayers
from ocngame.games.players import PlayerGame

__all__ = ["Coverage", "Mixture", "adversarial_costs", "gaussian_gan", "grid", "ring"]


_ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU}
_SHOWN = 2000
"""Samples that measures and pictures are made from."""


@dataclass(frozen=True)
class Coverage:
    """How well samples cover a mixture.

    Attributes:
        modes: Modes covered.
        quality: Share of samples within three standard deviations of a mode.
    """

    modes: int
    quality: float


@dataclass(frozen=True)
class Mixture:
    """Equally likely Gaussians of one deviation in the plane.

    Attributes:
        centres: Shape (K, 2).
        deviation: Standard deviation.
    """

    centres: Tensor
    deviation: float

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw samples.

        Args:
            count: How many.
            generator: Draws them.

        Returns:
            Shape (count, 2).
        """
        chosen = torch.randint(len(self.centres), (count,), generator=generator)
        noise = torch.randn(count, 2, generator=generator).to(self.centres)
        return self.centres[chosen] + self.deviation * noise

    def coverage(self, samples: Tensor) -> Coverage:
        """Measure how well samples cover the modes.

        Args:
            samples: Shape (S, 2).

        Returns:
            Modes covered and share of high quality; NaN samples count as bad.
        """
        distance, nearest = torch.cdist(samples, self.centres).min(dim=1)
        good = distance <= 3 * self.deviation
        counts = torch.bincount(nearest[good], minlength=len(self.centres))
        least = len(samples) / (5 * len(self.centres))
        return Coverage(int((counts >= least).sum()), float(good.float().mean()))


def ring(modes: int = 8, *, deviation: float = 0.02) -> Mixture:
    """Give Gaussians on the unit circle.

    Args:
        modes: How many.
        deviation: Their standard deviation.

    Returns:
        The mixture.
    """
    integer("modes", modes, low=1)
    angle = torch.arange(modes) * (2 * math.pi / modes)
    return Mixture(torch.stack([angle.cos(), angle.sin()], dim=1), deviation)


def grid(side: int = 5, *, deviation: float = 0.025) -> Mixture:
    """Give Gaussians on a square grid on [-1, 1]^2.

    Args:
        side: Modes along a side.
        deviation: Their standard deviation.

    Returns:
        The mixture.
    """
    integer("side", side, low=2)
    ticks = torch.linspace(-1, 1, side)
    return Mixture(torch.cartesian_prod(ticks, ticks), deviation)


def gaussian_gan(
    mixture: Mixture,
    *,
    width: int = 64,
    depth: int = 2,
    latent: int = 16,
    activation: str = "relu",
    penalty: float = 0.0,
    seed: int = 0,
) -> ReadyPlayers:
    """Make the game; its batch is `(x, z)`.

    Args:
        mixture: The data.
        width: Units of the hidden layers of both networks.
        depth: Hidden layers of both.
        latent: Size of z.
        activation: relu, or silu: smooth, as is needed where second derivatives are to tell how
            far a gradient changes.
        penalty: Weight of the gradient penalty.
        seed: Seed of the weights.

    Returns:
        The game; the measures are taken on 2000 samples.

    Raises:
        InvalidInputError: if an argument is out of range.
    """
    integer("width", width, low=1)
    integer("depth", depth, low=1)
    integer("latent", latent, low=1)
    non_negative("penalty", penalty)
    one_of("activation", activation, _ACTIVATIONS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = _network(latent, width, depth, 2, activation)
        discriminator = _network(2, width, depth, 1, activation)

    game = PlayerGame(
        {"generator": generator, "discriminator": discriminator}, adversarial_costs(penalty)
    )

    def samples() -> Tensor:
        noise = torch.Generator().manual_seed(seed + 1)
        with torch.no_grad():
            return generator(torch.randn(_SHOWN, latent, generator=noise))

    def batch(count: int, noise: torch.Generator) -> tuple[Tensor, Tensor]:
        return mixture.sample(count, noise), torch.randn(count, latent, generator=noise)

    return ReadyPlayers(
        name=f"gan{len(mixture.centres)}",
        game=game,
        measures={
            "modes": lambda: float(mixture.coverage(samples()).modes),
            "quality": lambda: mixture.coverage(samples()).quality,
        },
        batch=batch,
        samples=samples,
        data=mixture.sample(_SHOWN, torch.Generator().manual_seed(seed + 2)),
    )


def adversarial_costs(penalty: float) -> list[Callable[..., Tensor]]:
    """Give the costs of generator and discriminator, functions of `(G, D, x, z)`.

    Args:
        penalty: Weight of the gradient penalty.

    Returns:
        One function each, so that a method may evaluate one player's alone.
    """

    def generates(G: nn.Module, D: nn.Module, _: Tensor, z: Tensor) -> Tensor:
        return softplus(-D(G(z))).mean()

    def discriminates(G: nn.Module, D: nn.Module, x: Tensor, z: Tensor) -> Tensor:
        cost = softplus(-D(x)).mean() + softplus(D(G(z))).mean()
        return cost + 0.5 * penalty * _steepness(D, x) if penalty > 0 else cost

    return [generates, discriminates]


def _steepness(D: nn.Module, x: Tensor) -> Tensor:
    """Give the mean squared gradient of the discriminator at samples."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
        return slope.square().sum(dim=1).mean()


def _network(inputs: int, width: int, depth: int, outputs: int, activation: str) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(inputs, width), _ACTIVATIONS[activation]()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))
