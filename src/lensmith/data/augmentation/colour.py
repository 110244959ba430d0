"""Brightness, contrast and saturation: one affine map of the pixels.

They change pixels of 0..255, before the scaling to what a model takes. Where each image is standardised by its own
mean and deviation, that would undo a change of brightness or contrast; the scaling here has fixed numbers, those of
the training part, and undoes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from lensmith.data.augmentation.geometry import within
from lensmith.data.augmentation.record import Augment

NUMBERS = 3  # how many random numbers `factors` takes
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def factors(augment: Augment, numbers: Sequence[float]) -> tuple[float, float, float]:
    """Brightness, contrast and saturation, drawn with three numbers that are even on 0..1."""
    spans = (augment.brightness, augment.contrast, augment.saturation)
    brightness, contrast, saturation = (within(span, number) for span, number in zip(spans, numbers, strict=True))
    return brightness, contrast, saturation


def recolour(pixels: np.ndarray, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    """Change the colours of an image.

    With the luma Y of a pixel and the image's mean luma m, a pixel x becomes x₁ = Y + saturation · (x − Y), then
    x₂ = m + contrast · (x₁ − m), then brightness · x₂, cut to 0..255. The three are one affine map.

    Args:
        pixels: uint8 or float32 ``(h, w, 1 or 3)``, 0..255.
        brightness: factor, at least 0; 1 changes nothing.
        contrast: likewise.
        saturation: likewise; without a meaning for one channel.

    Returns:
        float32, the same shape, 0..255.

    Example:
        >>> recolour(np.array([[[10], [30]]], np.uint8), brightness=1.5, contrast=2, saturation=1).tolist()
        [[[0.0], [60.0]]]
    """
    image: np.ndarray = pixels.astype(np.float32)
    if brightness == contrast == saturation == 1:
        return image
    mean = 0.0
    if contrast != 1:
        means = cv2.mean(pixels)
        mean = means[0] if pixels.shape[2] == 1 else sum(w * m for w, m in zip(_LUMA, means, strict=False))
    scale, offset = brightness * contrast, brightness * (1 - contrast) * mean
    if pixels.shape[2] == 1 or saturation == 1:
        image *= np.float32(scale)
        if offset:
            image += np.float32(offset)
    else:
        mixed = scale * (saturation * np.eye(3) + (1 - saturation) * np.array([_LUMA] * 3))
        image = cv2.transform(image, np.hstack([mixed, np.full((3, 1), offset)]).astype(np.float32))
    if scale > 1 or offset or saturation > 1:
        cv2.threshold(image, 255, 255, cv2.THRESH_TRUNC, dst=image)  # the two take half as long as numpy's clip
    if offset or saturation > 1:
        cv2.threshold(image, 0, 0, cv2.THRESH_TOZERO, dst=image)
    return image
