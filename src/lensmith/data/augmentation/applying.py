"""One example, changed: its pixels resampled once, its targets moved with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from lensmith import check
from lensmith.data.augmentation import colour, erasing, geometry
from lensmith.data.augmentation.following import fit, follow, read_masks
from lensmith.data.augmentation.record import Augment
from lensmith.data.augmentation.rolling import roll_targets
from lensmith.data.resampling import resize
from lensmith.records import Labels, Target

_COLOUR = geometry.NUMBERS
_ERASING = _COLOUR + colour.NUMBERS
_NUMBERS = _ERASING + erasing.NUMBERS


def chosen(count: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Which images of a batch are changed: an exact share of them, drawn at random.

    Where the share is not a whole number of images, there is one more as often as makes the average right.

    Args:
        count: images in the batch.
        share: of them that are changed, 0..1.
        rng: the only source of chance.

    Returns:
        bool ``(count,)``.

    Example:
        >>> int(chosen(32, 0.5, np.random.default_rng(0)).sum())
        16
    """
    changed = np.zeros(count, bool)
    changed[rng.permutation(count)[: int(share * count + rng.random())]] = True
    return changed


def augmented(
    pixels: np.ndarray,
    targets: Mapping[str, Target],
    labels: Mapping[str, Labels],
    *,
    size: tuple[int, int],
    augment: Augment,
    rng: np.random.Generator,
    source: tuple[int, int] | None = None,
    resized: Callable[[tuple[int, int]], np.ndarray] | None = None,
) -> tuple[np.ndarray, dict[str, Target]]:
    """Draw changes from the ranges and make them, with the resize to the model's size, in one resampling.

    An image that shrinks to less than half is averaged over blocks of pixels before, so that it does not flicker.
    Where it is only mirrored or turned by quarters, its pixels are to the bit those of the unchanged image, in other
    places. Whether an image is changed at all is not decided here; see :func:`chosen`.

    Args:
        pixels: uint8 ``(h, w, channels)``.
        targets: by task; masks as arrays or files.
        labels: by task.
        size: height and width of the target.
        augment: the ranges.
        rng: the only source of chance: in the same state, it gives the same bits.
        source: height and width of the image that the targets are about, where ``pixels`` were decoded at a
            reduced size; left out, that of ``pixels``.
        resized: what gives the unchanged image at a height and width; left out, :func:`lensmith.data.resize`.

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
    numbers = rng.random(_NUMBERS).tolist()
    change, before = geometry.drawn(augment, numbers), source or (pixels.shape[0], pixels.shape[1])
    targets = read_masks(targets, labels, before)
    if change.whole:
        upright = size if change.quarters % 2 == 0 else size[::-1]
        pixels = resize(pixels, upright) if resized is None else resized(upright)
        targets, before = fit(targets, labels, before, upright), upright
    matrix = geometry.matrix(change, before, size)
    warped, moved = _resampled(pixels, targets, labels, matrix, change, before, size, augment)
    return _coloured(warped, augment, numbers, rng), moved


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
    numbers = rng.random(_NUMBERS).tolist()
    change, before = geometry.drawn(augment, numbers), (pixels.shape[0], pixels.shape[1])
    targets = read_masks(targets, labels, before)
    matrix = place @ geometry.matrix(change, before, size)
    warped, moved = _resampled(pixels, targets, labels, matrix, change, before, window, augment)
    return _coloured(warped, augment, numbers, rng), moved


def _resampled(
    pixels: np.ndarray,
    targets: Mapping[str, Target],
    labels: Mapping[str, Labels],
    matrix: np.ndarray,
    change: geometry.Change,
    before: tuple[int, int],
    size: tuple[int, int],
    augment: Augment,
) -> tuple[np.ndarray, dict[str, Target]]:
    """Pixels averaged over blocks, rolled and sent through a matrix, which is about an image of the size ``before``."""
    x, y = before[1] / pixels.shape[1], before[0] / pixels.shape[0]  # pixels of that image in one of these
    rows, columns = geometry.reduction(_of_larger(matrix, x, y), pixels.shape[:2])
    pixels, x, y = geometry.reduced(pixels, (rows, columns)), x * columns, y * rows
    if change.roll:
        across, down = round(change.shift[0] * pixels.shape[1]), round(change.shift[1] * pixels.shape[0])
        pixels = np.roll(pixels, (down, across), axis=(0, 1))
        targets = roll_targets(targets, labels, (across * x, down * y), before)
    fill = augment.fill
    warped = geometry.warp(pixels, _of_larger(matrix, x, y), size, fill=fill, value=augment.fill_value)
    return warped, follow(targets, labels, matrix, size, fill=fill)


def _coloured(warped: np.ndarray, augment: Augment, numbers: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    image = colour.recolour(warped, *colour.factors(augment, numbers[_COLOUR:_ERASING]))
    erasing.erase(image, augment, numbers[_ERASING:], rng)
    if augment.noise:
        erasing.add_noise(image, augment.noise, rng)
    return image


def _of_larger(matrix: np.ndarray, x: float, y: float) -> np.ndarray:
    """The matrix for an image of which a pixel stands for x by y of the source."""
    return matrix if x == y == 1 else matrix * np.array([x, y, 1])
