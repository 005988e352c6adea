"""How robust a classifier is: attacks of another library where it is installed, and their checks.

Robust accuracy is the share of samples that stay right under every restart of an attack. Attacks of
torchattacks (an optional package; its inputs are images in [0, 1]) are used where it can be
imported; `ours` is projected gradient ascent of this library, and the attack's name says so.

An attack that gradients do not lead is fooled by masking (Athalye, Carlini & Wagner, 1802.00420).
It shows if a network falls to perturbations made for another one, or to random far points of the
ball, where its own gradients find nothing, or if a larger ball makes the attack succeed less.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from ocngame._checks import integer
from ocngame.errors import InvalidInputError
from ocngame.games.perturbation import Norm, PerturbationBall
from ocngame.solvers.players.baselines import ProjectedGradient

__all__ = [
    "Attack",
    "accuracy",
    "auto_attack",
    "has_torchattacks",
    "randomly_perturbed_accuracy",
    "robust_accuracy",
    "robustness_curve",
    "transferred_accuracy",
    "withstanding",
]


_SMALLEST = 5


@dataclass(frozen=True, kw_only=True)
class Attack:
    """An attack to measure with.

    Attributes:
        steps: Ascents from each start.
        restarts: Random starts; a sample counts as robust if it withstands all.
        library: torchattacks or ours.
    """

    steps: int = 50
    restarts: int = 10
    library: str = "ours"

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("steps", self.steps, low=1)
        integer("restarts", self.restarts, low=1)
        if self.library not in ("ours", "torchattacks"):
            raise InvalidInputError(f"library: expected ours or torchattacks, got {self.library!r}")
        if self.library == "torchattacks" and not has_torchattacks():
            raise InvalidInputError(
                "library: torchattacks cannot be imported; pip install 'ocngame[bench]' brings it"
            )

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"PGD-{self.steps} x {self.restarts} ({self.library})"


def has_torchattacks() -> bool:
    """Say whether torchattacks is installed.

    Returns:
        Whether it can be imported.
    """
    return find_spec("torchattacks") is not None


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Give the share of samples that are classified rightly.

    Args:
        model: A classifier.
        x: Inputs, shape (m, ...).
        y: Classes, shape (m,).

    Returns:
        The share.
    """
    return float((model(x).argmax(dim=1) == y).float().mean())


def robust_accuracy(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    ball: PerturbationBall,
    attack: Attack,
    seed: int = 0,
) -> float:
    """Give the share of samples that stay right under an attack.

    Args:
        model: A classifier.
        x: Inputs in [0, 1], shape (m, features).
        y: Classes, shape (m,).
        ball: Perturbations.
        attack: Steps, restarts and whose.
        seed: Seed of the random starts.

    Returns:
        The share.
    """
    standing = withstanding(model, x, y, ball=ball, attack=attack, seed=seed)
    return float(standing.float().mean())


def withstanding(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    ball: PerturbationBall,
    attack: Attack,
    seed: int = 0,
) -> Tensor:
    """Say which samples stay right under an attack.

    Args:
        model: A classifier.
        x: Inputs in [0, 1], shape (m, features).
        y: Classes, shape (m,).
        ball: Perturbations.
        attack: Steps, restarts and whose.
        seed: Seed of the random starts.

    Returns:
        Truth values, shape (m,).
    """
    with torch.no_grad():
        standing = model(x).argmax(dim=1) == y
    generator = torch.Generator().manual_seed(seed)
    for restart in range(attack.restarts):
        left = standing.nonzero()[:, 0]
        if not len(left):
            break
        if attack.library == "ours":
            own = ProjectedGradient(ball=ball, steps=attack.steps)
            moved = x[left] + own.perturb(model, x[left], y[left], generator)
        else:
            moved = _theirs(model, x[left], y[left], ball, attack.steps, seed + restart)
        with torch.no_grad():
            standing[left] = model(moved).argmax(dim=1) == y[left]
    return standing


def robustness_curve(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    ball: PerturbationBall,
    multiples: Sequence[float],
    attack: Attack,
) -> list[float]:
    """Give robust accuracy for balls of several radii.

    Args:
        model: A classifier.
        x: Inputs in [0, 1], shape (m, features).
        y: Classes, shape (m,).
        ball: The ball whose multiples are taken.
        multiples: Multiples of its radius, 0 for no perturbation.
        attack: Steps, restarts and whose.

    Returns:
        An accuracy per multiple.
    """
    found = []
    for multiple in multiples:
        if multiple == 0:
            found.append(accuracy(model, x, y))
            continue
        scaled = PerturbationBall(
            radius=multiple * ball.radius, norm=ball.norm, low=ball.low, high=ball.high
        )
        found.append(robust_accuracy(model, x, y, ball=scaled, attack=attack))
    return found


def auto_attack(
    model: nn.Module, x: Tensor, y: Tensor, *, ball: PerturbationBall, classes: int, seed: int = 0
) -> float:
    """Give the share of samples that stay right under AutoAttack of torchattacks.

    Args:
        model: A classifier.
        x: Inputs in [0, 1], shape (m, features).
        y: Classes, shape (m,).
        ball: Perturbations.
        classes: Number of classes.
        seed: Seed of its random numbers.

    Returns:
        The share.

    Raises:
        InvalidInputError: if torchattacks is not installed, or the ball is one in l2 and the inputs
            are no images of 5 x 5 pixels or more, which its search by squares needs.
    """
    if not has_torchattacks():
        raise InvalidInputError("attack: AutoAttack needs torchattacks, which is not installed")
    images = _as_images(x)
    if ball.norm is Norm.L2 and images.shape[2] < _SMALLEST:
        raise InvalidInputError(
            f"x: expected images of at least {_SMALLEST} x {_SMALLEST} pixels for AutoAttack in "
            f"l2, got {x.shape[1]} features"
        )
    library = import_module("torchattacks")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = library.AutoAttack(
            _images(model),
            norm="Linf" if ball.norm is Norm.LINF else "L2",
            eps=ball.radius,
            n_classes=classes,
            seed=seed,
        )
        moved = made(images, y).flatten(1)
    return accuracy(model, moved, y)


def transferred_accuracy(
    model: nn.Module,
    source: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    ball: PerturbationBall,
    attack: Attack,
    seed: int = 0,
) -> float:
    """Give the accuracy under perturbations that were made for another network.

    Args:
        model: The classifier that is judged.
        source: The one that the attack sees.
        x: Inputs, shape (m, features).
        y: Classes, shape (m,).
        ball: Perturbations.
        attack: Steps and restarts.
        seed: Seed of the random starts.

    Returns:
        The share that stays right.
    """
    made = ProjectedGradient(ball=ball, steps=attack.steps, restarts=attack.restarts)
    d = made.perturb(source, x, y, torch.Generator().manual_seed(seed))
    return accuracy(model, x + d, y)


@torch.no_grad()
def randomly_perturbed_accuracy(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    ball: PerturbationBall,
    tries: int = 100,
    seed: int = 0,
) -> float:
    """Give the share of samples that stay right under all of many random far points of the ball.

    Args:
        model: A classifier.
        x: Inputs, shape (m, features).
        y: Classes, shape (m,).
        ball: Perturbations.
        tries: Points per sample.
        seed: Seed of the points.

    Returns:
        The share.
    """
    integer("tries", tries, low=1)
    generator = torch.Generator().manual_seed(seed)
    standing = model(x).argmax(dim=1) == y
    for _ in range(tries):
        far = ball.steepest(torch.randn(x.shape, generator=generator).to(x))
        standing &= model(x + ball.project(far, x)).argmax(dim=1) == y
    return float(standing.float().mean())


def _theirs(
    model: nn.Module, x: Tensor, y: Tensor, ball: PerturbationBall, steps: int, seed: int
) -> Tensor:
    library: Any = import_module("torchattacks")
    size = 2.5 * ball.radius / steps
    kind = library.PGD if ball.norm is Norm.LINF else library.PGDL2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = kind(_images(model), eps=ball.radius, alpha=size, steps=steps, random_start=True)
        return made(_as_images(x), y).flatten(1).detach()


def _images(model: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), copy.deepcopy(model))


def _as_images(x: Tensor) -> Tensor:
    """Give inputs as square images, which AutoAttack's search by squares needs; else as lines."""
    side = math.isqrt(x.shape[1])
    shape = (side, side) if side * side == x.shape[1] else (1, x.shape[1])
    return x.view(len(x), 1, *shape)
