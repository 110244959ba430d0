"""All that moves the pixels of an image, its resize included, as one matrix and one resampling.

A matrix maps source to target coordinates, which are continuous as in :mod:`lensmith.boxes`: pixel (0, 0) covers x
and y from 0 to 1. OpenCV counts from pixel centres; :func:`warp` alone knows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from lensmith.data.augmentation.record import Augment

# x' = a·x + b·y + c and y' = d·x + e·y + f, as (a, b, c, d, e, f). Plain numbers: a product of two takes under a
# microsecond, where numpy needs several, and there are ten of them an image.
_Affine = tuple[float, float, float, float, float, float]

_QUARTERS = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))  # cosine and sine
_BORDERS = {
    "nearest": cv2.BORDER_REPLICATE,
    "constant": cv2.BORDER_CONSTANT,
    "reflect": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
}
NUMBERS = 14  # how many random numbers `drawn` takes


@dataclass(frozen=True, slots=True)
class Change:
    """One draw of geometric changes, in the order in which they are made. As it stands by default, there is none.

    Args:
        mirror: whether x and whether y are mirrored.
        quarters: quarter turns, counter-clockwise.
        corners: by how much of the sides the upper left, upper right and lower left corner move: x, y of each.
        shear: degrees by which upright lines lean to the left.
        angle: degrees, counter-clockwise.
        enlarge: whether the frame now grows around what the steps before have moved out of it.
        zoom: factor.
        shift: share of the frame, x and y.
        roll: whether the shift wraps around instead; it then comes first, and is not part of :func:`matrix`.
    """

    mirror: tuple[bool, bool] = (False, False)
    quarters: int = 0
    corners: tuple[float, float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    shear: float = 0.0
    angle: float = 0.0
    enlarge: bool = False
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    roll: bool = False

    @property
    def whole(self) -> bool:
        """Whether pixels only change places, by mirrors and quarter turns: nothing lies between two of them."""
        moved = any(self.corners) or self.shear or self.angle or self.zoom != 1 or any(self.shift)
        return not moved


def drawn(augment: Augment, numbers: Sequence[float]) -> Change:
    """Make one draw of numbers that are even on 0..1: each field has its own, whatever the others are set to.

    Args:
        augment: the ranges.
        numbers: at least ``NUMBERS`` of them.
    """
    x, y = cast(tuple[float, float], augment.shift)
    a = b = c = d = e = f = 0.0
    if augment.affine:
        a, b, c, d, e, f = (2 * augment.affine * (number - 0.5) for number in numbers[8:14])
    return Change(
        mirror=(
            augment.flip in ("horizontal", "both") and numbers[0] < 0.5,
            augment.flip in ("vertical", "both") and numbers[1] < 0.5,
        ),
        quarters=int(4 * numbers[2]) if augment.turn else 0,
        corners=(a, b, c, d, e, f),
        shear=within(augment.shear, numbers[3]),
        angle=within(augment.rotate, numbers[4]),
        enlarge=augment.enlarge,
        zoom=within(augment.zoom, numbers[5]),
        shift=(x * (2 * numbers[6] - 1), y * (2 * numbers[7] - 1)),
        roll=augment.roll,
    )


def within(span: object, number: float) -> float:
    """The place in a range ``(low, high)`` at which a number of 0..1 lies."""
    low, high = cast(tuple[float, float], span)
    return low + (high - low) * number


def matrix(change: Change, before: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """The matrix from the pixels of an image to those of the target, the resize included.

    Args:
        change: a draw; without one, ``Change()``, this is the resize alone.
        before: height and width of the image.
        size: height and width of the target.

    Returns:
        float64 ``(3, 3)``: a column x, y, 1 of the source times it from the left gives one of the target.

    Example:
        >>> matrix(Change(mirror=(True, False)), (10, 20), (5, 20)).tolist()
        [[-1.0, 0.0, 20.0], [0.0, 0.5, 0.0], [0.0, 0.0, 1.0]]
    """
    moved, width, height = _about_the_centre(change, before)
    moved = _then(moved, (change.zoom, 0.0, 0.0, 0.0, change.zoom, 0.0))
    x, y = (0.0, 0.0) if change.roll else change.shift
    scale_x, scale_y = size[1] / width, size[0] / height
    across, down = (0.5 + x) * width * scale_x, (0.5 + y) * height * scale_y
    a, b, c, d, e, f = _then(moved, (scale_x, 0.0, across, 0.0, scale_y, down))
    return np.array([[a, b, c], [d, e, f], [0.0, 0.0, 1.0]])


def _about_the_centre(change: Change, before: tuple[int, int]) -> tuple[_Affine, float, float]:
    """What happens before the zoom, as a map to coordinates about the frame's centre, and the frame's size."""
    height, width = before
    cos, sin = _direction(90 * change.quarters)
    right, down = (-1 if mirrored else 1 for mirrored in change.mirror)
    moved: _Affine = (cos * right, sin * down, 0.0, -sin * right, cos * down, 0.0)
    moved = _then((1.0, 0.0, -width / 2, 0.0, 1.0, -height / 2), moved)
    if change.quarters % 2:
        height, width = width, height
    if any(change.corners):
        moved = _then(moved, _by_corners(change.corners, width, height))
    if change.shear:
        moved = _then(moved, (1.0, math.tan(math.radians(change.shear)), 0.0, 0.0, 1.0, 0.0))
    if change.angle:
        cos, sin = _direction(change.angle)
        moved = _then(moved, (cos, sin, 0.0, -sin, cos, 0.0))
    if not change.enlarge:
        return moved, width, height
    a, b, c, d, e, f = moved
    corners = [(x, y) for x in (0, before[1]) for y in (0, before[0])]
    columns = [a * x + b * y + c for x, y in corners]
    rows = [d * x + e * y + f for x, y in corners]
    middle = (1.0, 0.0, -(min(columns) + max(columns)) / 2, 0.0, 1.0, -(min(rows) + max(rows)) / 2)
    return _then(moved, middle), max(columns) - min(columns), max(rows) - min(rows)


def _direction(degrees: float) -> tuple[float, float]:
    """Cosine and sine, exact for quarter turns."""
    quarters, rest = divmod(degrees, 90)
    return (math.cos(math.radians(degrees)), math.sin(math.radians(degrees))) if rest else _QUARTERS[int(quarters) % 4]


def _by_corners(corners: tuple[float, ...], width: float, height: float) -> _Affine:
    """The affine map that moves three corners of a frame, in coordinates about its centre."""
    x0, y0, x1, y1, x2, y2 = corners
    linear = (1 + x1 - x0, (x2 - x0) * width / height, (y1 - y0) * height / width, 1 + y2 - y0)
    # The centre lies halfway between the second and the third corner, and is carried there.
    return linear[0], linear[1], (x1 + x2) / 2 * width, linear[2], linear[3], (y1 + y2) / 2 * height


def _then(first: _Affine, second: _Affine) -> _Affine:
    a, b, c, d, e, f = first
    g, h, i, j, k, m = second
    return g * a + h * d, g * b + h * e, g * c + h * f + i, j * a + k * d, j * b + k * e, j * c + k * f + m


def warp(
    pixels: np.ndarray, matrix: np.ndarray, size: tuple[int, int], *, fill: str, value: int = 0, nearest: bool = False
) -> np.ndarray:
    """Resample an image by a matrix, linearly; the one place that knows of OpenCV's pixel centres.

    Whole steps, mirrors and quarter turns come out exact to the bit. Cubic interpolation takes 2.6 times as long and
    was not thought worth it.

    Args:
        pixels: ``(h, w, channels)`` or ``(h, w)``, uint8 or float32.
        matrix: from these pixels to those of the target, ``(3, 3)`` or ``(2, 3)``.
        size: height and width of the target.
        fill: what lies beyond the image, one of ``FILLS`` of the record.
        value: of a constant fill.
        nearest: take the nearest pixel, for masks.

    Returns:
        The dtype and the channels of the image, at ``size``.

    Example:
        >>> row = np.array([[1, 2, 3]], np.uint8)
        >>> warp(row, np.array([[-1, 0, 3], [0, 1, 0.0]]), (1, 3), fill="nearest").tolist()
        [[3, 2, 1]]
    """
    (a, b, c), (d, e, f) = matrix[:2].tolist()
    warped: np.ndarray = cv2.warpAffine(
        pixels,
        np.array([[a, b, c + (a + b - 1) / 2], [d, e, f + (d + e - 1) / 2]]),
        (size[1], size[0]),  # OpenCV wants the width first
        flags=cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR,
        borderMode=_BORDERS[fill],
        borderValue=(value, value, value, value),
    )
    return warped.reshape(*size, *pixels.shape[2:])  # OpenCV drops a single channel


def reduction(matrix: np.ndarray, before: tuple[int, int]) -> tuple[int, int]:
    """By which powers of two the rows and the columns can be averaged before a matrix shrinks them further.

    What remains is a factor below 2 each way, little enough for linear interpolation: on photos, larger blocks lose
    more by blurring than they gain.

    Args:
        matrix: from the pixels to the target.
        before: height and width of the image, of which at least one row and column must remain.

    Example:
        >>> reduction(matrix(Change(), (900, 400), (100, 150)), (900, 400))
        (8, 2)
    """
    (a, b), (d, e) = matrix[:2, :2].tolist()
    shrunk = 1 / max(math.hypot(b, e), 1e-6), 1 / max(math.hypot(a, d), 1e-6)
    # A factor of 2 that floating point makes 1.999… of is one.
    halvings = (int(math.log2(max(factor * (1 + 1e-9), 1))) for factor in shrunk)
    rows, columns = (min(count, side.bit_length() - 1) for count, side in zip(halvings, before, strict=True))
    return 1 << rows, 1 << columns


def reduced(pixels: np.ndarray, factors: tuple[int, int]) -> np.ndarray:
    """Average blocks of pixels. A side that is not a multiple ends in a smaller block, or loses up to half of one.

    Args:
        pixels: ``(h, w, channels)``.
        factors: of rows and columns, powers of two, as :func:`reduction` gives them.

    Returns:
        The same dtype; pixel (y, x) of it lies at ``factors`` times its coordinates in the source.

    Example:
        >>> reduced(np.array([[[10], [20]], [[30], [40]]], np.uint8), (2, 2)).tolist()
        [[[25]]]
    """
    rows, columns = factors
    while rows > 1 and columns > 1 and min(pixels.shape[:2]) > 1:  # OpenCV has a fast path for 2 by 2 alone
        pixels = _averaged(pixels, 2, 2)
        rows, columns = rows // 2, columns // 2
    return _averaged(pixels, rows, columns) if rows > 1 or columns > 1 else pixels


def _averaged(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    smaller: np.ndarray = cv2.resize(pixels, None, fx=1 / columns, fy=1 / rows, interpolation=cv2.INTER_AREA)
    return smaller.reshape(*smaller.shape[:2], pixels.shape[2])
