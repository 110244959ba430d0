"""Pictures inside the page: small PNG files written into the address of an ``<img>``."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from lensmith import check

LARGEST = 128  # pixels along the longer side; the page shows pictures at about this size


def thumbnail(image: np.ndarray, limit: int = LARGEST) -> np.ndarray:
    """The image, made smaller where its longer side is above ``limit`` pixels; never larger.

    Args:
        image: uint8 ``(height, width, channels)``.
        limit: of the longer side.
    """
    height, width = image.shape[:2]
    ratio = limit / max(height, width)
    if ratio >= 1:
        return image
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.reshape(small, (*small.shape[:2], -1))  # OpenCV drops a single channel


def photo_uri(image: np.ndarray) -> str:
    """The image as a JPEG in a ``data:`` address: for larger pictures, of which a PNG would be many times as long.

    Args:
        image: uint8 ``(height, width, 3)``.

    Raises:
        LensmithError: OpenCV could not write it.
    """
    full = [cv2.IMWRITE_JPEG_QUALITY, 88, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    written, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), full)
    if not written:
        raise check.LensmithError(f"report: a picture of shape {image.shape} could not be written as JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def data_uri(image: np.ndarray) -> str:
    """The image as a PNG in a ``data:`` address.

    Args:
        image: uint8 ``(height, width, channels)`` with 1 (grey), 3 (RGB) or 4 (RGBA) channels; of any other
            number the first is shown, in grey.

    Raises:
        LensmithError: OpenCV could not write it.
    """
    channels = image.shape[2]
    if channels == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    elif channels == 4:
        image = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA)
    else:
        image = np.ascontiguousarray(image[:, :, 0])
    written, data = cv2.imencode(".png", image)
    if not written:
        raise check.LensmithError(f"report: a picture of shape {image.shape} could not be written as PNG")
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def is_tiny(image: np.ndarray) -> bool:
    """Whether the image is so small that its pixels should show when it is made larger."""
    return bool(max(image.shape[:2]) < LARGEST // 2)
