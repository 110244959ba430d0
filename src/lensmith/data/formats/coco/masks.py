"""The outlines of COCO's objects: polygons as they stand, run lengths as the contours of their pixels.

Run lengths count pixels column by column, in turn those outside and inside the object, outside first. They come
as a list or as text, in which each count is written as the difference from the one before the last, in groups of 5
bits, lowest first, as characters from ``0`` on (``rleToString`` in ``common/maskApi.c`` of cocodataset/cocoapi).
"""

from __future__ import annotations

import cv2
import numpy as np

from lensmith import check
from lensmith.data.formats.annotations import short
from lensmith.data.formats.numbers import json_number
from lensmith.records import Polygons

_MOST_PIXELS = 2**27  # as many as Pillow opens without a doubt, in round numbers
_PLACE = "segmentation"


def outline(segmentation: object, size: tuple[int, int] | None = None) -> Polygons:
    """The rings of one object, float32 of shape ``(n, 2)`` each; none where there is no outline.

    Args:
        segmentation: as it stands in the file.
        size: height and width of the image, where the file states them; run lengths must have the same.

    Raises:
        DataError: it is neither polygons nor run lengths that fit their size; the message does not name the file.

    Example:
        >>> outline({"size": [2, 3], "counts": [2, 4]})[0].tolist()
        [[1.0, 0.0], [1.0, 2.0], [3.0, 2.0], [3.0, 0.0]]
    """
    if segmentation is None or segmentation == []:
        return ()
    if isinstance(segmentation, dict):
        mask = decode_runs(segmentation.get("counts"), segmentation.get("size"))
        if size is not None and mask.shape != size:
            raise check.DataError(check.sentence(f"{_PLACE}: size", f"that of the image, {[*size]}", [*mask.shape]))
        return contours(mask)
    if isinstance(segmentation, list):
        return tuple(_ring(one) for one in segmentation)
    raise check.DataError(check.sentence(_PLACE, "polygons or run lengths", short(segmentation)))


def decode_runs(counts: object, size: object) -> np.ndarray:
    """Run lengths → bool array ``(height, width)``.

    Args:
        counts: a list of lengths, or the text that is made of them.
        size: height and width.

    Raises:
        DataError: the lengths do not add up to the size, or are none.

    Example:
        >>> decode_runs([1, 3], [2, 2]).astype(int).tolist(), decode_runs("13", [2, 2]).astype(int).tolist()
        ([[0, 1], [1, 1]], [[0, 1], [1, 1]])
    """
    sides = [_whole(side) for side in size] if isinstance(size, list) else []
    if len(sides) != 2 or not 0 < sides[0] * sides[1] <= _MOST_PIXELS or min(sides) < 1:
        raise check.DataError(check.sentence(f"{_PLACE}: size", "height and width", short(size)))
    runs = _runs_of_text(counts) if isinstance(counts, str) else counts
    lengths = [_whole(run) for run in runs] if isinstance(runs, list) else []
    if sum(lengths) != sides[0] * sides[1] or min(lengths) < 0:
        expected = f"lengths that add up to {sides[0]} × {sides[1]} pixels"
        raise check.DataError(check.sentence(f"{_PLACE}: counts", expected, short(counts)))
    inside = np.arange(len(lengths)) % 2 == 1
    return np.repeat(inside, lengths).reshape(sides[1], sides[0]).T


def contours(mask: np.ndarray) -> Polygons:
    """The outer outline of each connected piece of a bool mask, along the edges of its pixels.

    Exact but for holes, which are filled. Pixels that touch at a corner belong together.

    Example:
        >>> contours(np.array([[0, 1, 1, 0]], bool))[0].tolist()
        [[1.0, 0.0], [1.0, 1.0], [3.0, 1.0], [3.0, 0.0]]
    """
    down, right = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(down):
        return ()
    piece = mask[down[0] : down[-1] + 1, right[0] : right[-1] + 1]
    # Points half a pixel apart: corners of pixels at even places, centres at odd ones. A point is in the object if
    # it is in or on the edge of one of its pixels, so that a gap of one pixel stays a gap.
    height, width = 2 * piece.shape[0], 2 * piece.shape[1]
    points = np.zeros((height + 1, width + 1), np.uint8)
    for row in range(3):
        for column in range(3):
            points[row : row + height : 2, column : column + width : 2] |= piece
    found, _ = cv2.findContours(points, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return tuple(_edges(ring.reshape(-1, 2)) / 2 + np.array([right[0], down[0]], np.float32) for ring in found)


def _edges(ring: np.ndarray) -> np.ndarray:
    """The corners of an outline of half pixels, float32.

    Where the edge turns inwards the outline steps across the corner, from the middle of one edge to that of the
    next; the corner is the point between whose places are both even.
    """
    after = np.roll(ring, -1, axis=0)
    across = (ring != after).all(axis=1)
    between = np.where(ring % 2 == 0, ring, after)
    every = np.stack([ring, between], axis=1).reshape(-1, 2)[
        np.stack([np.ones_like(across), across], axis=1).reshape(-1)
    ]
    come, go = every - np.roll(every, 1, axis=0), np.roll(every, -1, axis=0) - every
    turns = come[:, 0] * go[:, 1] != come[:, 1] * go[:, 0]
    corners: np.ndarray = every[turns].astype(np.float32)
    return corners


def _ring(values: object) -> np.ndarray:
    numbers = [json_number(value) for value in values] if isinstance(values, list) else []
    finite = [value for value in numbers if value is not None]
    if len(finite) != len(numbers) or len(finite) < 6 or len(finite) % 2:
        expected = "polygons of at least 3 points, x and y of each"
        raise check.DataError(check.sentence(_PLACE, expected, short(values)))
    return np.asarray(finite, np.float32).reshape(-1, 2)


def _whole(value: object) -> int:
    """A whole number of a JSON file, or -1."""
    found = json_number(value)
    return int(found) if found is not None and found.is_integer() else -1


def _runs_of_text(text: str) -> list[int]:
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        code = ord(letter) - 48
        if not 0 <= code < 64 or shift > 60:
            return []
        value |= (code & 31) << shift
        shift += 5
        if code & 32:  # more of this one follows
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return [] if shift else runs
