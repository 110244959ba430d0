"""One example, changed: its pixels resampled once, its targets moved with them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lensmith import check
from lensmith.data.augmentation import colour, erasing, geometry
from lensmith.data.augmentation.following import follow, read_masks
from lensmith.data.augmentation.record import Augment
from lensmith.data.augmentation.rolling import roll_targets
from lensmith.records import Labels, Target

_COLOUR = geometry.NUMBERS
_ERASING = _COLOUR + colour.NUMBERS
_NUMBERS = _ERASING + erasing.NUMBERS


def touched(augment: Augment, rng: np.random.Generator) -> bool:
    """Whether this image is among the share that is changed; takes one number from ``rng``.

    Example:
        >>> touched(Augment(share=0), np.random.default_rng(0))
        False
    """
    return bool(rng.random() < augment.share)


def augmented(
    pixels: np.ndarray,
    targets: Mapping[str, Target],
    labels: Mapping[str, Labels],
    *,
    size: tuple[int, int],
    augment: Augment,
    rng: np.random.Generator,
    source: tuple[int, int] | None = None,
) -> tuple[np.ndarray, dict[str, Target]]:
    """Draw changes from the ranges and make them, with the resize to the model's size, in one resampling.

    An image that shrinks to less than half is averaged over blocks of pixels before, so that it does not flicker.
    Whether the image is changed at all is not decided here; see :func:`touched`.

    Args:
        pixels: uint8 ``(h, w, channels)``.
        targets: by task; masks as arrays or files.
        labels: by task.
        size: height and width of the target.
        augment: the ranges.
        rng: the only source of chance: in the same state, it gives the same bits.
        source: height and width of the image that the targets are about, where ``pixels`` were decoded at a
            reduced size; left out, that of ``pixels``.

    Returns:
        float32 ``(height, width, channels)``, 0..255, and the targets in its pixels.

    Raises:
        DataError: the pixels, or a target, do not have the form stated.

    Example:
        >>> gray = np.full((4, 6, 1), 100, np.uint8)
        >>> ranges = Augment(rotate=15, brightness=(1.5, 1.5))
        >>> x, _ = augmented(gray, {}, {}, size=(2, 3), augment=ranges, rng=np.random.default_rng(0))
        >>> x[..., 0].tolist()
        [[150.0, 150.0, 150.0], [150.0, 150.0, 150.0]]
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        expected = "uint8 of shape (height, width, channels)"
        raise check.DataError(check.sentence("pixels", expected, f"{pixels.dtype} of shape {pixels.shape}"))
    return _changed(pixels, targets, labels, None, size, size, augment, rng, source)


def tile(
    pixels: np.ndarray,
    targets: Mapping[str, Target],
    labels: Mapping[str, Labels],
    *,
    place: np.ndarray,
    window: tuple[int, int],
    size: tuple[int, int],
    augment: Augment,
    rng: np.random.Generator,
) -> tuple[np.ndarray, dict[str, Target]]:
    """As :func:`augmented` to ``size``, then moved by ``place`` into a window, still in one resampling.

    Args:
        pixels: uint8 ``(h, w, channels)``.
        targets: by task.
        labels: by task.
        place: matrix from the target of :func:`augmented` to the window, ``(3, 3)``.
        window: height and width of what comes out.
        size: height and width that the image would have alone.
        augment: the ranges.
        rng: the only source of chance.
    """
    return _changed(pixels, targets, labels, place, window, size, augment, rng, None)


def _changed(
    pixels: np.ndarray,
    targets: Mapping[str, Target],
    labels: Mapping[str, Labels],
    place: np.ndarray | None,
    window: tuple[int, int],
    size: tuple[int, int],
    augment: Augment,
    rng: np.random.Generator,
    source: tuple[int, int] | None,
) -> tuple[np.ndarray, dict[str, Target]]:
    numbers = rng.random(_NUMBERS).tolist()
    change = geometry.drawn(augment, numbers)
    before = source or (pixels.shape[0], pixels.shape[1])
    targets = read_masks(targets, labels, before)
    matrix = geometry.matrix(change, before, size)
    if place is not None:
        matrix = place @ matrix
    x, y = before[1] / pixels.shape[1], before[0] / pixels.shape[0]  # pixels of the source in one of these
    rows, columns = geometry.reduction(_of_larger(matrix, x, y), pixels.shape[:2])
    pixels, x, y = geometry.reduced(pixels, (rows, columns)), x * columns, y * rows
    if change.roll:
        across, down = round(change.shift[0] * pixels.shape[1]), round(change.shift[1] * pixels.shape[0])
        pixels = np.roll(pixels, (down, across), axis=(0, 1))
        targets = roll_targets(targets, labels, (across * x, down * y), before)
    fill = augment.fill
    warped = geometry.warp(pixels, _of_larger(matrix, x, y), window, fill=fill, value=augment.fill_value)
    image = colour.recolour(warped, *colour.factors(augment, numbers[_COLOUR:_ERASING]))
    erasing.erase(image, augment, numbers[_ERASING:], rng)
    if augment.noise:
        erasing.add_noise(image, augment.noise, rng)
    return image, follow(targets, labels, matrix, window, fill=fill)


def _of_larger(matrix: np.ndarray, x: float, y: float) -> np.ndarray:
    """The matrix for an image of which a pixel stands for x by y of the source."""
    return matrix if x == y == 1 else matrix * np.array([x, y, 1])
