"""The formats that boxes are written in, their area, their edges, and whether they are boxes at all.

See :mod:`lensmith.boxes` for the formats.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lensmith import check

FORMATS = ("xyxy", "xywh", "cxcywh", "rel_xyxy", "rel_xywh", "rel_cxcywh")


def convert(boxes: ArrayLike, source: str, target: str, *, size: tuple[int, int] | None = None) -> np.ndarray:
    """Write boxes in another format.

    Args:
        boxes: shape ``(..., 4)`` in the format ``source``.
        source: one of ``FORMATS``.
        target: one of ``FORMATS``.
        size: ``(height, width)`` of the image in pixels, needed between pixels and shares.

    Returns:
        A new array of the same shape.

    Raises:
        SettingError: a format is unknown, or the size is needed and missing.
        DataError: the boxes do not have the shape stated.

    Example:
        >>> convert([0.5, 0.5, 0.5, 0.25], "rel_cxcywh", "xyxy", size=(100, 200)).tolist()
        [50.0, 37.5, 150.0, 62.5]
    """
    check.one_of("boxes.convert: source", source, FORMATS)
    check.one_of("boxes.convert: target", target, FORMATS)
    numbers = numbers_of(boxes).copy()
    source_layout, target_layout = source.removeprefix("rel_"), target.removeprefix("rel_")
    # Every layout is linear in x and in y, so one factor for each serves all of them.
    if source != source_layout and target == target_layout:
        numbers *= _span(size)
    elif source == source_layout and target != target_layout:
        numbers /= _span(size)
    if source_layout == target_layout:
        return numbers
    return _from_corners(_to_corners(numbers, source_layout), target_layout)


def area(boxes: ArrayLike) -> np.ndarray:
    """The area of each box; 0, never less, for one without extent.

    Args:
        boxes: shape ``(..., 4)``, ``xyxy``.

    Returns:
        Shape ``(...)``, in the square of the boxes' unit.

    Example:
        >>> area([[0, 0, 3, 2], [5, 5, 5, 9]]).tolist()
        [6.0, 0.0]
    """
    corners = numbers_of(boxes)
    width, height = np.moveaxis(np.maximum(corners[..., 2:] - corners[..., :2], 0), -1, 0)
    return np.asarray(width * height)


def clip(boxes: ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """Cut boxes at the edges of an image. One that lies outside keeps its place in the array, with area 0.

    Args:
        boxes: shape ``(..., 4)``, ``xyxy`` in pixels.
        size: ``(height, width)`` of the image in pixels.

    Returns:
        A new array of the same shape.

    Example:
        >>> clip([-5, 10, 50, 30], (20, 40)).tolist()
        [0.0, 10.0, 40.0, 20.0]
    """
    corners = numbers_of(boxes)
    return np.asarray(np.clip(corners, 0, _span(size).astype(corners.dtype)))


def validate(boxes: ArrayLike, place: str = "boxes") -> np.ndarray:
    """Return the boxes as an array if each is finite and has an extent: ``x1 < x2`` and ``y1 < y2``.

    Args:
        boxes: shape ``(n, 4)``, ``xyxy``.
        place: where they come from, such as a file, for the message.

    Raises:
        DataError: names the first box that is wrong, counting from 0.

    Example:
        >>> validate([[0, 0, 3, 2], [5, 5, 5, 9]], "cat.xml")
        Traceback (most recent call last):
            ...
        lensmith.check.DataError: cat.xml: box 1: expected finite numbers, x1 < x2 and y1 < y2; got 5, 5, 5, 9
    """
    corners = table(boxes)
    fine = np.isfinite(corners).all(axis=1) & (corners[:, :2] < corners[:, 2:]).all(axis=1)
    if not fine.all():
        index = int(np.argmin(fine))
        came = ", ".join(f"{number:g}" for number in corners[index])
        raise check.DataError(check.sentence(f"{place}: box {index}", "finite numbers, x1 < x2 and y1 < y2", came))
    return corners


def _to_corners(boxes: np.ndarray, layout: str) -> np.ndarray:
    first, second = boxes[..., :2], boxes[..., 2:]
    if layout == "xywh":
        return np.concatenate([first, first + second], axis=-1)
    if layout == "cxcywh":
        return np.concatenate([first - second / 2, first + second / 2], axis=-1)
    return boxes


def _from_corners(corners: np.ndarray, layout: str) -> np.ndarray:
    low, high = corners[..., :2], corners[..., 2:]
    if layout == "xywh":
        return np.concatenate([low, high - low], axis=-1)
    if layout == "cxcywh":
        return np.concatenate([(low + high) / 2, high - low], axis=-1)
    return corners


def numbers_of(boxes: ArrayLike) -> np.ndarray:
    array = np.asarray(boxes)
    if array.shape == (0,):  # what an empty list becomes
        array = array.reshape(0, 4)
    if array.dtype.kind not in "fiu" or array.shape[-1:] != (4,):
        expected = "numbers of shape (..., 4)"
        raise check.DataError(check.sentence("boxes", expected, f"{array.dtype} of shape {array.shape}"))
    return array.astype(np.result_type(array, np.float32), copy=False)


def table(boxes: ArrayLike) -> np.ndarray:
    array = numbers_of(boxes)
    if array.ndim != 2:
        raise check.DataError(check.sentence("boxes", "an array of shape (n, 4)", f"shape {array.shape}"))
    return array


def _span(size: tuple[int, int] | None) -> np.ndarray:
    """What a relative box is multiplied by: width, height, width, height."""
    if size is None or len(size) != 2:
        raise check.SettingError(check.sentence("size", "(height, width) of the image in pixels", size))
    height, width = (check.positive("size", side) for side in size)
    return np.array([width, height, width, height], np.float64)
