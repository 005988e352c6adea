r"""A GAN on images: networks of linear layers, the costs of `gaussians`.

Images are vectors of P = height x width numbers in [0, 1]. The generator maps z, standard normal,
through hidden layers to a logistic function; the discriminator sees `2 x - 1`. The gradient penalty
is needed more than on Gaussians: few thousand images can be told apart from any others by heart.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from ocngame._checks import integer, non_negative
from ocngame._tensor_checks import finite, shaped
from ocngame.errors import InvalidInputError
from ocngame.games.differentiable.gaussians import adversarial_costs
from ocngame.games.differentiable.ready import ReadyPlayers
from ocngame.games.players import PlayerGame

__all__ = ["image_gan"]

Judge = Callable[[Tensor], Mapping[str, float]]
_SLOPE = 0.2
"""Of the rectifiers for negative inputs."""


class _Centred(nn.Module):
    """Moves [0, 1] to [-1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x - 1


def image_gan(
    images: Tensor,
    *,
    name: str = "images",
    judge: Judge | None = None,
    note: str = "",
    judged: int = 1000,
    shown: int = 40,
    width: int = 256,
    latent: int = 32,
    penalty: float = 1.0,
    seed: int = 0,
) -> ReadyPlayers:
    """Make the game; its batch is `(x, z)`.

    Args:
        images: The data, in [0, 1], shape (n, height, width).
        name: The game's name.
        judge: Gives numbers, by name, for generated images of shape (judged, height, width).
        note: What to know of the judge.
        judged: How many images the judge sees.
        shown: How many images `samples` gives.
        width: Units of the two hidden layers of both networks.
        latent: Size of z.
        penalty: Weight of the gradient penalty.
        seed: Seed of the weights.

    Returns:
        The game; its measures are the judge's numbers.

    Raises:
        InvalidInputError: if an argument is out of range.
    """
    sizes = shaped("images", images, "n h w")
    finite("images", images)
    if bool((images < 0).any() | (images > 1).any()):
        raise InvalidInputError(
            f"images: expected numbers in [0, 1], got {float(images.min()):.3g} to "
            f"{float(images.max()):.3g}"
        )
    for label, value in (("judged", judged), ("shown", shown), ("width", width)):
        integer(label, value, low=1)
    integer("latent", latent, low=1)
    non_negative("penalty", penalty)
    height, pixels = sizes["h"], sizes["h"] * sizes["w"]
    data = images.reshape(len(images), pixels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = nn.Sequential(*_hidden(latent, width), nn.Linear(width, pixels), nn.Sigmoid())
        discriminator = nn.Sequential(_Centred(), *_hidden(pixels, width), nn.Linear(width, 1))
    generator.to(images)
    discriminator.to(images)
    game = PlayerGame(
        {"generator": generator, "discriminator": discriminator}, adversarial_costs(penalty)
    )

    def made(count: int) -> Tensor:
        noise = torch.Generator().manual_seed(seed + 1)
        with torch.no_grad():
            found = generator(torch.randn(count, latent, generator=noise).to(images))
        return found.reshape(count, height, -1)

    def batch(count: int, noise: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(data), (count,), generator=noise)
        return data[rows], torch.randn(count, latent, generator=noise).to(images)

    measures = {}
    if judge is not None:

        def measure(label: str, judge: Judge = judge) -> float:
            return judge(made(judged))[label]

        measures = {label: partial(measure, label) for label in judge(made(judged))}
    return ReadyPlayers(
        name=name,
        game=game,
        measures=measures,
        batch=batch,
        samples=lambda: made(shown),
        note=note,
        data=images[torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))][
            :shown
        ],
    )


def _hidden(inputs: int, width: int) -> list[nn.Module]:
    return [
        nn.Linear(inputs, width),
        nn.LeakyReLU(_SLOPE),
        nn.Linear(width, width),
        nn.LeakyReLU(_SLOPE),
    ]
