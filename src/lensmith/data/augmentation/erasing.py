"""Random pixels over an image: a rectangle of them, or a little everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lensmith.data.augmentation.geometry import within
from lensmith.data.augmentation.record import Augment

NUMBERS = 5  # how many random numbers `erase` takes
_ASPECT = 0.3  # of the rectangle: from this to its inverse


def erase(image: np.ndarray, augment: Augment, numbers: Sequence[float], rng: np.random.Generator) -> None:
    """Overwrite a rectangle with random pixels, with the record's probability. Targets stay as they are.

    Args:
        image: float32 ``(h, w, channels)``, 0..255; changed in place.
        augment: its fields ``erase`` and ``erase_area``.
        numbers: five that are even on 0..1: whether, how large, of which shape, and where.
        rng: for the pixels.

    References:
        Z. Zhong et al., "Random Erasing Data Augmentation", 2020, algorithm 1 and "RE-R" of section 3.
    """
    if numbers[0] >= augment.erase:
        return
    height, width, channels = image.shape
    area = within(augment.erase_area, numbers[1]) * height * width
    aspect = _ASPECT ** (1 - 2 * numbers[2])
    rows = min(max(round(math.sqrt(area * aspect)), 1), height)
    columns = min(max(round(area / rows), 1), width)
    top, left = int(numbers[3] * (height - rows + 1)), int(numbers[4] * (width - columns + 1))
    image[top : top + rows, left : left + columns] = rng.integers(0, 256, (rows, columns, channels), np.uint8)


def add_noise(image: np.ndarray, deviation: float, rng: np.random.Generator) -> None:
    """Add normal noise of its own to every number, and cut to 0..255.

    Args:
        image: float32, 0..255; changed in place.
        deviation: as a share of 255.
        rng: draws the noise.
    """
    image += rng.standard_normal(image.shape, np.float32) * np.float32(255 * deviation)
    np.clip(image, 0, 255, out=image)
