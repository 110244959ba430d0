"""Boxes as what has to be done to anchors: the numbers that a detector learns in place of corners.

With an anchor's centre (x, y), width w and height h, and those of the box with a dash, the deltas are
((x' - x) / w, (y' - y) / h, ln(w' / w), ln(h' / h)), each divided by its variance
(Girshick et al. 2014, R-CNN, appendix C; Liu et al. 2016, SSD, for variances such as 0.1, 0.1, 0.2, 0.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from lensmith import check
from lensmith.boxes.formats import convert, numbers_of

MOST_GROWTH = 1000 / 16  # a decoded box is no more than so many times as wide or high as its anchor


def encode(boxes: ArrayLike, anchors: ArrayLike, *, variances: Sequence[float] = (1.0, 1.0, 1.0, 1.0)) -> np.ndarray:
    """What makes each anchor its box.

    Args:
        boxes: shape ``(..., 4)``, ``xyxy``; each has an extent.
        anchors: shape ``(..., 4)``, ``xyxy``, in the same unit; each has an extent.
        variances: what dx, dy, dw and dh are divided by; each above 0.

    Returns:
        Shape ``(..., 4)``: dx, dy, dw, dh.

    Raises:
        DataError: the shapes do not fit, or a box or an anchor has no extent.
        SettingError: the variances are not four numbers above 0.

    Example:
        >>> encode([5, 0, 25, 20], [0, 0, 10, 20]).round(4).tolist()  # a width to the right, and twice as wide
        [1.0, 0.0, 0.6931, 0.0]
    """
    divisors = _variances(variances)
    (centre, size), (start, extent) = _centred("boxes", boxes), _centred("anchors", anchors)
    try:
        moved = (centre - start) / extent
    except ValueError as error:
        got = f"{centre.shape[:-1]} and {start.shape[:-1]}"
        raise check.DataError(check.sentence("boxes and anchors", "shapes that go together", got)) from error
    deltas: np.ndarray = np.concatenate([moved, np.log(size / extent)], axis=-1)
    deltas /= divisors.astype(deltas.dtype)
    return deltas


def decode(deltas: ArrayLike, anchors: ArrayLike, *, variances: Sequence[float] = (1.0, 1.0, 1.0, 1.0)) -> np.ndarray:
    """The boxes that deltas make of anchors: the inverse of :func:`encode`.

    An untrained network may give any number; so that none overflows, the logarithms dw and dh (after the variances)
    count as ln(62.5) = ln(1000 / 16) at most, the bound of the published Faster R-CNN models. A box of more than
    62.5 times its anchor's side is therefore not given back by a round trip.

    Args:
        deltas: shape ``(..., 4)``: dx, dy, dw, dh.
        anchors: shape ``(..., 4)``, ``xyxy``; each has an extent.
        variances: those the deltas were divided by.

    Returns:
        Shape ``(..., 4)``, ``xyxy``, in the anchors' unit.

    Raises:
        DataError: the shapes do not fit, or an anchor has no extent.
        SettingError: the variances are not four numbers above 0.

    Example:
        >>> decode([1.0, 0.0, 0.0, 0.0], [0, 0, 10, 20]).tolist()
        [10.0, 0.0, 20.0, 20.0]
    """
    given = numbers_of(deltas)
    numbers = given * _variances(variances).astype(given.dtype)
    start, extent = _centred("anchors", anchors)
    try:
        centre = start + numbers[..., :2] * extent
    except ValueError as error:
        got = f"{numbers.shape[:-1]} and {start.shape[:-1]}"
        raise check.DataError(check.sentence("deltas and anchors", "shapes that go together", got)) from error
    size = extent * np.exp(np.minimum(numbers[..., 2:], np.log(MOST_GROWTH)))
    return convert(np.concatenate([centre, size], axis=-1), "cxcywh", "xyxy")


def _centred(name: str, corners: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Centres and sizes, ``(..., 2)`` each, of boxes that all have an extent."""
    numbers = numbers_of(corners)
    fine = np.isfinite(numbers).all(axis=-1) & (numbers[..., :2] < numbers[..., 2:]).all(axis=-1)
    if not fine.all():
        came = ", ".join(f"{number:g}" for number in numbers[~fine][0])
        raise check.DataError(check.sentence(name, "finite numbers, x1 < x2 and y1 < y2", came))
    centred = convert(numbers, "xyxy", "cxcywh")
    return centred[..., :2], centred[..., 2:]


def _variances(variances: Sequence[float]) -> np.ndarray:
    if len(variances) != 4 or not all(0 < variance < np.inf for variance in variances):
        raise check.SettingError(check.sentence("variances", "four numbers above 0", tuple(variances)))
    return np.asarray(variances, np.float64)
