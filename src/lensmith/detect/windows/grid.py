"""Where a sliding window stands."""

from __future__ import annotations

import numpy as np

from lensmith import check

Sides = int | tuple[int, int]


def windows(size: tuple[int, int], window: Sides, stride: Sides = 1) -> np.ndarray:
    """The places of a window that slides over an image, row by row.

    Along each axis the window starts at 0, ``stride``, 2 · ``stride``, … as long as it fits; where the last of these
    does not reach the image's edge, one more window ends there, so that the last row and column are always seen.

    Args:
        size: height and width of the image in pixels.
        window: its side, or its height and width.
        stride: from one window to the next, or down and across.

    Returns:
        float32 ``(n, 4)``: x1, y1, x2, y2 in pixels.

    Raises:
        SettingError: the window does not fit into the image, or a side is no whole number of at least 1.

    Example:
        >>> windows((4, 5), (4, 2), 2).tolist()
        [[0.0, 0.0, 2.0, 4.0], [2.0, 0.0, 4.0, 4.0], [3.0, 0.0, 5.0, 4.0]]
    """
    height, width = pair("window", window)
    rows, columns = starts(size, window, stride)
    top, left = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    return np.stack([left, top, left + width, top + height], axis=1).astype(np.float32)


def starts(size: tuple[int, int], window: Sides, stride: Sides) -> tuple[np.ndarray, np.ndarray]:
    """The first rows and the first columns of the windows; see :func:`windows`."""
    sizes, sides, steps = pair("size", size), pair("window", window), pair("stride", stride)
    if sides[0] > sizes[0] or sides[1] > sizes[1]:
        expected = f"one that fits into the image of {sizes[0]}×{sizes[1]} pixels"
        raise check.SettingError(check.sentence("window", expected, f"{sides[0]}×{sides[1]}"))
    along = [
        np.unique(np.append(np.arange(0, room - side + 1, step), room - side))
        for room, side, step in zip(sizes, sides, steps, strict=True)
    ]
    return along[0], along[1]


def pair(place: str, sides: Sides) -> tuple[int, int]:
    """Height and width, or down and across, from one number or two."""
    both = tuple(sides) if isinstance(sides, list | tuple) else (sides, sides)
    if len(both) != 2:
        raise check.SettingError(check.sentence(place, "one whole number, or two: down and across", repr(sides)))
    down, across = (check.positive(place, int(side) if isinstance(side, np.integer) else side) for side in both)
    return down, across
