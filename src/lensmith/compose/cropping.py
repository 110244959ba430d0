"""Cut boxes out of images and bring them to one size, in operations every backend and ONNX have.

Sampling along an axis is a matrix: its row i says of which pixels, and how much of each, output pixel i is made.
Both axes are then two matrix products, through which gradients flow to the image and to the box.
"""

from __future__ import annotations

import numpy as np

from lensmith.backend import keras
from lensmith.compose.layers import Tensor


def crop_and_resize(images: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """One crop of each image, resized bilinearly; where it shrinks, over all the pixels that it covers.

    Args:
        images: ``(batch, height, width, channels)``.
        boxes: ``(batch, 4)``: x1, y1, x2, y2 as shares of the image, 0..1. What lies outside repeats the border.
        size: ``(height, width)`` of the result.

    Returns:
        ``(batch, *size, channels)``.

    References:
        Jaderberg et al. 2015, Spatial Transformer Networks, section 3.3, with a triangle that widens.

    >>> image = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> crop_and_resize(image, np.array([[0.0, 0.5, 0.5, 1.0]]), (2, 2))[0, ..., 0].tolist()
    [[8.0, 9.0], [12.0, 13.0]]
    """
    height, width = images.shape[1:3]
    rows = _sampling(boxes[:, 1:2], boxes[:, 3:4], size[0], height)
    columns = _sampling(boxes[:, 0:1], boxes[:, 2:3], size[1], width)
    return keras.ops.einsum("nhy,nyxc,nwx->nhwc", rows, keras.ops.cast(images, "float32"), columns)


def widened(boxes: Tensor, margin: float, image: tuple[int, int], *, square: bool) -> Tensor:
    """Boxes with a margin, in the same shares of the image.

    Args:
        boxes: ``(batch, 4)``.
        margin: on each side, as a share of the box.
        image: ``(height, width)`` in pixels: a square of pixels is no square of shares.
        square: widen the shorter side to the longer one.

    Returns:
        ``(batch, 4)``; no side is shorter than a pixel, however a model that has not learnt yet orders the corners.
    """
    ops = keras.ops
    pixels = np.array([[image[1], image[0]]], np.float32)
    first, second = (ops.multiply(ops.cast(corner, "float32"), pixels) for corner in (boxes[:, :2], boxes[:, 2:]))
    centre, sides = (first + second) / 2.0, ops.abs(second - first)
    if square:
        sides = ops.maximum(sides, ops.flip(sides, axis=1))
    half = ops.maximum(sides * (0.5 + margin), 0.5)
    return ops.concatenate([ops.divide(corner, pixels) for corner in (centre - half, centre + half)], axis=1)


def _sampling(low: Tensor, high: Tensor, out: int, pixels: int) -> Tensor:
    """The matrices that sample ``out`` positions between two shares of an axis: ``(batch, out, pixels)``."""
    ops = keras.ops
    steps = ((np.arange(out, dtype=np.float32) + 0.5) / out)[None]
    low, high = ops.cast(low, "float32"), ops.cast(high, "float32")
    places = ops.clip((low + ops.multiply(high - low, steps)) * float(pixels) - 0.5, 0.0, pixels - 1.0)
    # Enlarged, a triangle of two pixels is bilinear; shrunk, it covers the pixels that fall on one.
    reach = ops.maximum((high - low) * (pixels / out), 1.0)[:, :, None]
    away = ops.abs(ops.subtract(places[:, :, None], np.arange(pixels, dtype=np.float32)[None, None]))
    weights = ops.maximum(1.0 - away / reach, 0.0)
    return weights / ops.sum(weights, axis=-1, keepdims=True)
