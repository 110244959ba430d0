"""Pixels → the size a model takes."""

from __future__ import annotations

import cv2
import numpy as np

from lensmith import check

RESIZES = ("area", "linear")


def resize(image: np.ndarray, size: tuple[int, int], method: str = "area") -> np.ndarray:
    """Resize by area averaging along an axis that shrinks, and by cubic interpolation along one that grows.

    It is ``clip(rows @ image @ columns.T, 0, 255)`` with the two matrices of :func:`resize_matrix`. Nothing is rounded,
    so that a shipped model can repeat it.

    Args:
        image: ``(h, w, channels)``, uint8 or float32, 0..255.
        size: height and width, in this order.
        method: ``area``; or ``linear``: between the two nearest pixels of each axis, in whole levels where the image is
            uint8, as OpenCV does it: for networks from elsewhere, which were fed so. It skips pixels where an axis
            shrinks to less than half.

    Returns:
        float32 array of shape ``(height, width, channels)``, 0..255.

    Raises:
        SettingError: the method is unknown.

    Example:
        >>> resize(np.array([[[0], [100]], [[50], [250]]], np.uint8), (1, 1))
        array([[[100.]]], dtype=float32)
    """
    (height, width), before = size, image.shape[:2]
    if check.one_of("resize: method", method, RESIZES) == "linear":
        pixels = _interpolate(image, height, width, cv2.INTER_LINEAR).astype(np.float32)
        return pixels.reshape(height, width, image.shape[2])
    pixels = image.astype(np.float32)
    if height <= before[0] and width <= before[1]:
        pixels = _interpolate(pixels, height, width, cv2.INTER_AREA)
    else:  # shrink first, so that the costlier cubic step works on fewer pixels
        shrunk = min(height, before[0]), min(width, before[1])
        pixels = _interpolate(_interpolate(pixels, *shrunk, cv2.INTER_AREA), height, width, cv2.INTER_CUBIC)
    np.clip(pixels, 0, 255, out=pixels)
    return pixels.reshape(height, width, image.shape[2])


def shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shrink in whole levels by linear interpolation, for where speed is worth more than :func:`resize`'s exactness.

    A side that is twice the target's or more is halved before, as often as that is so, so that no pixel is skipped.

    Args:
        image: uint8 ``(h, w, channels)``, no side of which is smaller than the target's.
        size: height and width, in this order.

    Returns:
        uint8 array of shape ``(height, width, channels)``; the image itself, where it has that size.

    Example:
        >>> shrink(np.array([[[0], [100], [50], [250]]], np.uint8), (1, 2))[0, :, 0]
        array([ 50, 150], dtype=uint8)
    """
    pixels, (height, width) = image, image.shape[:2]
    while height >= 2 * size[0] or width >= 2 * size[1]:
        height, width = _halved(height, size[0]), _halved(width, size[1])
        pixels = _interpolate(pixels, height, width, cv2.INTER_LINEAR)
    return _interpolate(pixels, *size, cv2.INTER_LINEAR).reshape(*size, image.shape[2])


def _halved(have: int, want: int) -> int:
    return (have + 1) // 2 if have >= 2 * want else have


def _interpolate(pixels: np.ndarray, height: int, width: int, method: int) -> np.ndarray:
    if pixels.shape[:2] == (height, width):
        return pixels
    resized: np.ndarray = cv2.resize(pixels, (width, height), interpolation=method)  # OpenCV wants the width first
    return resized


def resize_matrix(n_out: int, n_in: int) -> np.ndarray:
    """The weights by which :func:`resize`, by the method ``area``, makes ``n_out`` pixels of ``n_in`` along one axis.

    Shrinking: output pixel i covers ``[i·s, (i+1)·s]`` with ``s = n_in / n_out``, and each input pixel weighs
    as much as it overlaps that interval, over s. Growing: Keys' cubic kernel with a = −0.75 about
    ``(i + 1/2)·s − 1/2``, the border repeated.

    Returns:
        float32 array of shape ``(n_out, n_in)``; each row sums to 1.

    Example:
        >>> resize_matrix(2, 3).round(3)
        array([[0.667, 0.333, 0.   ],
               [0.   , 0.333, 0.667]], dtype=float32)

    References:
        R. Keys, "Cubic convolution interpolation for digital image processing", 1981, equation 4.
    """
    step = n_in / n_out
    if n_out <= n_in:
        left, pixel = np.arange(n_out)[:, None] * step, np.arange(n_in)
        overlap = np.minimum(left + step, pixel + 1) - np.maximum(left, pixel)
        shares: np.ndarray = np.maximum(overlap, 0) / step
        return shares.astype(np.float32)
    weights = np.zeros((n_out, n_in))
    centre = (np.arange(n_out) + 0.5) * step - 0.5
    for offset in (-1, 0, 1, 2):
        pixel = np.floor(centre).astype(int) + offset
        np.add.at(weights, (np.arange(n_out), pixel.clip(0, n_in - 1)), _keys(np.abs(centre - pixel)))
    return weights.astype(np.float32)


def _keys(distance: np.ndarray, a: float = -0.75) -> np.ndarray:
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    weight: np.ndarray = np.where(distance <= 1, near, far)
    return weight
