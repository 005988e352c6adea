r"""Images made small: means of blocks, so that a network can take them as a flat row.

An image is a Box of bytes with three axes, H x W x C with C of 1, 3 or 4. With the largest side s
allowed, blocks are `f = ceil(H / s)` by `g = ceil(W / s)` pixels (less at the far edges), and

    y[i, j, c] = mean of x over block (i, j) / 255,    shape ceil(H / f) x ceil(W / g) x C.
"""

import numpy as np
from gymnasium import spaces

__all__ = ["image_box", "is_image", "shrink", "shrunk_shape"]

_COLOURS = (1, 3, 4)


def is_image(shape: tuple[int, ...], dtype: np.dtype | type | None) -> bool:
    """Say whether arrays are images.

    Args:
        shape: Of the arrays.
        dtype: Of their entries.

    Returns:
        Whether they are bytes with three axes, the last one of colours.
    """
    of_bytes = dtype is not None and np.dtype(dtype) == np.uint8
    return of_bytes and len(shape) == 3 and shape[2] in _COLOURS


def shrunk_shape(shape: tuple[int, ...], side: int) -> tuple[int, ...]:
    """Give the shape of a small image.

    Args:
        shape: H, W, C.
        side: Largest side.

    Returns:
        Height, width, C.
    """
    height, width, colours = shape
    return -(-height // -(-height // side)), -(-width // -(-width // side)), colours


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """Make an image small.

    Args:
        image: [H, W, C], bytes.
        side: Largest side.

    Returns:
        Means of blocks in [0, 1], float32.
    """
    found = image.astype(np.float32)
    for axis in (0, 1):
        size = image.shape[axis]
        block = -(-size // side)
        starts = np.arange(0, size, block)
        counts = np.diff(np.append(starts, size)).astype(np.float32)
        found = np.add.reduceat(found, starts, axis=axis)
        found /= counts.reshape([-1 if k == axis else 1 for k in range(3)])
    return found / np.float32(255)


def image_box(space: spaces.Space) -> bool:
    """Say whether a space is of images.

    Args:
        space: The space.

    Returns:
        Whether it is a Box of images.
    """
    return isinstance(space, spaces.Box) and is_image(space.shape, space.dtype)
