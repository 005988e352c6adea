"""The games of the adversarial job by name: those that need nothing, and those that need data."""

from collections.abc import Callable
from dataclasses import replace

from ocngame.games.differentiable import READY_PLAYERS, ReadyPlayers, image_gan
from ocngame.training.datasets import load_data
from ocngame.training.judge import Judge

__all__ = ["PROBLEMS", "problem_maker"]

_IMAGES = {"digits-gan": ("digits", 8, 2.0), "mnist-gan": ("mnist5k", 28, 3.0)}
"""Data, height of an image and weight of the gradient penalty, by name of the problem."""

PROBLEMS: tuple[str, ...] = (*READY_PLAYERS, *_IMAGES)


def problem_maker(name: str, seed: int) -> Callable[[], ReadyPlayers]:
    """Load what a game needs, once for all rivals.

    Args:
        name: One of `PROBLEMS`.
        seed: Seed of the game.

    Returns:
        Makes the game, every time from the same start.
    """
    if name in READY_PLAYERS:
        return lambda: READY_PLAYERS[name](seed)
    source, height, penalty = _IMAGES[name]
    data = load_data(source, scaling="none", test_fraction=0.2, seed=0)
    top = float(data.x_train.max())
    scaled = replace(data, x_train=data.x_train / top, x_test=data.x_test / top)
    judge = Judge(scaled)
    images = scaled.x_train.reshape(len(scaled.x_train), height, -1)
    note = (
        f"the judge classifies {judge.accuracy:.1%} of held-out images well, with a mean "
        f"confidence of {judge.confidence:.2f}; training images are at a "
        f"distance of {judge.floor:.2g}"
    )
    return lambda: image_gan(images, name=name, judge=judge, note=note, penalty=penalty, seed=seed)
