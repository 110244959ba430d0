"""Pooling written out in loops, to be read."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from lensmith import check
from lensmith.probe.lab.operands import image_of
from lensmith.probe.lab.sizes import Padding, Pair, margins, output_size, pair

Kind = Literal["max", "average"]
POOLS: tuple[Kind, ...] = ("max", "average")


def pool(
    image: ArrayLike,
    size: Pair = 2,
    stride: Pair | None = None,
    *,
    kind: Kind = "max",
    padding: Padding = "valid",
) -> np.ndarray:
    """Put one number in the place of each window, channel by channel: its largest, or its average.

    A border is no part of the image: it never is the largest, and an average is taken of the pixels alone. That is what
    Keras does, but for one case: on PyTorch, where a border of ``"same"`` is uneven, it averages repeated pixels, too.

    Args:
        image: ``(h, w)`` or ``(h, w, c)``.
        size: of the window; one number, or height and width.
        stride: pixels from one window to the next; left out, the size, so that each pixel is in one window.
        kind: ``"max"`` or ``"average"``.
        padding: ``"valid"``, ``"same"`` as Keras has it, or so many pixels of border, fewer than the window has.

    Returns:
        ``(h', w')``, with the channels the image has, the sizes by :func:`~lensmith.probe.lab.sizes.output_size`; the
        largest of whole numbers are int64, all others float64.

    Raises:
        DataError: the image is no array of numbers of that shape.
        SettingError: a number is impossible, or the kind unknown.

    Example:
        >>> pool([[1, 3, 5, 7], [4, 2, 11, 3]]), pool([[1, 3, 5, 7], [4, 2, 11, 3]], kind="average")
        (array([[ 4, 11]]), array([[2.5, 6.5]]))
    """
    pixels = image_of(image)
    (above, left), (rows, columns) = places(pixels, size, stride, padding)
    (height, width), (down, across) = pair("size", size), pair("stride", size if stride is None else stride)
    best = np.max if check.one_of("kind", kind, POOLS) == "max" else np.mean
    result = np.empty((rows, columns, pixels.shape[2]), pixels.dtype if kind == "max" else np.float64)
    for row in range(rows):
        for column in range(columns):
            top, start = row * down - above, column * across - left
            window = pixels[max(top, 0) : top + height, max(start, 0) : start + width]
            result[row, column] = best(window, axis=(0, 1))
    return result if np.ndim(image) == 3 else result[..., 0]


def places(
    image: np.ndarray, size: Pair, stride: Pair | None, padding: Padding
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where the first window stands, as pixels above and left of the image, and how many there are by axis.

    Raises:
        SettingError: a number is impossible, or a window could see nothing but border.
    """
    sides, steps = pair("size", size), pair("stride", size if stride is None else stride)
    axes = list(zip(image.shape[:2], sides, steps, strict=True))
    before = [margins(n, k, s, padding)[0] for n, k, s in axes]
    if any(border >= k for border, k in zip(before, sides, strict=True)):
        raise check.SettingError(check.sentence("padding", f"less than the window, {min(sides)}", padding))
    above, left = before
    rows, columns = (output_size(n, k, s, padding) for n, k, s in axes)
    return (above, left), (rows, columns)
