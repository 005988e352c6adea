"""From an environment's spaces to rows of numbers and back.

A flattened observation lists, in the space's own order: the entries of a Box (row by row) and of a
MultiBinary as they are; one-hot vectors for Discrete and for each part of MultiDiscrete; the parts
of a Dict or a Tuple one after the other. It is gymnasium's `flatten`, written into a row that
exists already. Where a largest side is given, images are made small first
(`ocngame.envs.adapters.images`).

Actions are Discrete (counted from 0), MultiDiscrete (flat; MultiBinary is one of twos) or a flat,
bounded Box. What writes and decodes can be sent to other processes.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from gymnasium import spaces

from ocngame.envs.adapters.images import image_box, shrink, shrunk_shape
from ocngame.envs.world import Picture
from ocngame.errors import InvalidInputError

__all__ = ["action_decoder", "canonical_action_space", "observation_writer", "picture_of"]

Writer = Callable[[Any, np.ndarray], None]


def observation_writer(space: spaces.Space, image_side: int | None = None) -> tuple[int, Writer]:
    """Give the size of a flattened observation and what writes one into a row.

    Args:
        space: The observation space.
        image_side: Largest side of images; None for images as they are.

    Returns:
        The size, and a function of an observation and a row [size]; it raises ValueError where the
        observation is not of the space's shape.

    Raises:
        InvalidInputError: if observations of the space have no fixed size.
    """
    if image_side is not None and image_box(space):
        shape = tuple(space.shape or ())
        size = int(np.prod(shrunk_shape(shape, image_side)))
        return size, partial(_write_image, shape, image_side)
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        shape = tuple(space.shape or ())
        return int(np.prod(shape, dtype=int)), _array_writer(shape)
    if isinstance(space, spaces.Discrete):
        return int(space.n), _one_hot_writer(np.array([space.n]), np.array([space.start]))
    if isinstance(space, spaces.MultiDiscrete):
        sizes, start = space.nvec.ravel(), np.asarray(space.start).ravel()
        return int(sizes.sum()), _one_hot_writer(sizes, start)
    if isinstance(space, spaces.Dict):
        return _parts_writer(list(space.spaces), list(space.spaces.values()), image_side)
    if isinstance(space, spaces.Tuple):
        return _parts_writer(list(range(len(space.spaces))), list(space.spaces), image_side)
    raise InvalidInputError(
        f"observation_space: expected Box, Discrete, MultiBinary, MultiDiscrete, Dict or Tuple, "
        f"got {space}"
    )


def picture_of(space: spaces.Space, image_side: int | None = None) -> Picture | None:
    """Say whether observations are pictures.

    Args:
        space: The observation space.
        image_side: Largest side of images; None for images as they are.

    Returns:
        Their shape; None for all but boxes of three dimensions.
    """
    if not isinstance(space, spaces.Box) or len(space.shape) != 3:
        return None
    if image_side is not None and image_box(space):
        height, width, channels = shrunk_shape(space.shape, image_side)
        return Picture(height=height, width=width, channels=channels, largest=1.0)
    height, width, channels = space.shape
    largest = float(np.max(space.high))
    scaled = np.isfinite(largest) and largest > 1
    return Picture(
        height=height, width=width, channels=channels, largest=largest if scaled else 1.0
    )


def _array_writer(shape: tuple[int, ...]) -> Writer:
    return partial(_write_array, shape)


def _write_array(shape: tuple[int, ...], observation: Any, row: np.ndarray) -> None:
    array = np.asarray(observation)
    if array.shape != shape:
        raise ValueError(f"expected shape {shape}, got {array.shape}")
    row[:] = array if len(shape) == 1 else array.reshape(-1)


def _write_image(shape: tuple[int, ...], side: int, observation: Any, row: np.ndarray) -> None:
    array = np.asarray(observation)
    if array.shape != shape:
        raise ValueError(f"expected shape {shape}, got {array.shape}")
    row[:] = shrink(array, side).reshape(-1)


def _one_hot_writer(sizes: np.ndarray, start: np.ndarray) -> Writer:
    return partial(_write_one_hot, sizes, start, np.concatenate([[0], np.cumsum(sizes)[:-1]]))


def _write_one_hot(
    sizes: np.ndarray, start: np.ndarray, offsets: np.ndarray, observation: Any, row: np.ndarray
) -> None:
    values = np.asarray(observation).ravel() - start
    if values.shape != sizes.shape or (values < 0).any() or (values >= sizes).any():
        raise ValueError(f"expected {len(sizes)} counts below {sizes.tolist()}, got {values}")
    row[:] = 0
    row[offsets + values.astype(np.int64)] = 1


def _parts_writer(
    keys: list[Any], parts: list[spaces.Space], image_side: int | None
) -> tuple[int, Writer]:
    written, begin = [], 0
    for key, part in zip(keys, parts, strict=True):
        size, write_part = observation_writer(part, image_side)
        written.append((key, begin, begin + size, write_part))
        begin += size
    return begin, partial(_write_parts, written)


def _write_parts(
    parts: list[tuple[Any, int, int, Writer]], observation: Any, row: np.ndarray
) -> None:
    for key, low, high, write in parts:
        write(observation[key], row[low:high])


def canonical_action_space(agent: str, space: spaces.Space) -> spaces.Space:
    """Give the space that learners see.

    Args:
        agent: Whose it is, for messages.
        space: The environment's action space.

    Returns:
        Discrete from 0, a flat MultiDiscrete from 0, or a flat Box.

    Raises:
        InvalidInputError: if actions are of another kind or a Box has no bounds.
    """
    if isinstance(space, spaces.Discrete):
        return spaces.Discrete(int(space.n))
    if isinstance(space, spaces.MultiDiscrete):
        return spaces.MultiDiscrete(space.nvec.ravel())
    if isinstance(space, spaces.MultiBinary):
        return spaces.MultiDiscrete(np.full(int(np.prod(space.shape)), 2))
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        low, high = space.low.ravel(), space.high.ravel()
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise InvalidInputError(
                f"action_space of {agent}: expected a bounded Box, got {space}; wrap the "
                f"environment in one that gives bounds"
            )
        return spaces.Box(low, high, dtype=space.dtype.type)  # pyright: ignore[reportArgumentType]
    raise InvalidInputError(
        f"action_space of {agent}: expected Discrete, MultiDiscrete, MultiBinary or a Box of "
        f"floats, got {space}"
    )


def action_decoder(space: spaces.Space) -> Callable[[np.ndarray], list[Any]]:
    """Give what turns a group's actions into what the environment takes.

    Args:
        space: The environment's action space.

    Returns:
        A function of actions [B, A] or [B, A, m], in the space that learners see, giving for every
        copy a list of one action per agent.
    """
    if isinstance(space, spaces.Discrete):
        return partial(_decode_counts, int(space.start))
    shape, dtype = space.shape or (), space.dtype
    start = np.asarray(space.start).ravel() if isinstance(space, spaces.MultiDiscrete) else None
    return partial(_decode_arrays, shape, dtype, start)


def _decode_counts(start: int, actions: np.ndarray) -> list[Any]:
    return (actions + start if start else actions).tolist()


def _decode_arrays(
    shape: tuple[int, ...], dtype: Any, start: np.ndarray | None, actions: np.ndarray
) -> list[Any]:
    shifted = actions if start is None else actions + start
    # A copy: what the environment keeps or changes must not be the caller's tensor.
    return list(np.array(shifted, dtype=dtype).reshape(*actions.shape[:2], *shape))
