"""The lines of a YOLO label file ↔ boxes in pixels.

A line is ``class cx cy w h``, the centre and the size as shares of the image, or ``class x1 y1 x2 y2 …``, the
outline of an object in three points or more (the formats of Darknet and of YOLO segmentation labels).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from lensmith import check
from lensmith.records import Boxes

_FAR = 1.0  # an image's width beyond its edge; an object that sticks out is nearer
_CLASSES = 10_000  # where no file names the classes


def parse(text: str, ids: Mapping[int, int] | None, size: tuple[int, int], place: str) -> Boxes:
    """Read the lines of a label file.

    Args:
        text: of the file; empty lines are passed over.
        ids: the index of each class number; None takes any number for its own index.
        size: height and width of the upright image, in pixels.
        place: the file, for messages.

    Returns:
        The boxes; an outline makes the box around it. What sticks out of the image is kept as it is.

    Raises:
        DataError: names the file and the line, counting from 1.

    Example:
        >>> parse("1 0.5 0.5 0.5 1.0", {0: 0, 1: 1}, (10, 20), "a.txt").xyxy.tolist()
        [[5.0, 0.0, 15.0, 10.0]]
        >>> parse("1 0.5 0.5 0.5 1.0 0.9", None, (10, 20), "a.txt")
        Traceback (most recent call last):
            ...
        lensmith.check.DataError: a.txt:1: expected a class and 4 numbers, or a class and at least 3 points; got 6 columns. The sixth looks like a confidence: these are predictions, not labels
    """  # noqa: E501
    corners: list[tuple[float, float, float, float]] = []
    classes: list[int] = []
    polygons: list[tuple[np.ndarray, ...]] = []
    height, width = size
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            values = _numbers(words)
            classes.append(_class(values[0], words[0], ids))
            if len(values) == 5:
                _, x, y, w, h = values
                corners.append(((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height))
                polygons.append(())
            else:
                ring = np.asarray(values[1:]).reshape(-1, 2) * (width, height)
                corners.append((*ring.min(axis=0).tolist(), *ring.max(axis=0).tolist()))
                polygons.append((ring,))
        except ValueError as error:
            raise check.DataError(f"{place}:{number}: {error}") from None
    return Boxes(np.asarray(corners, np.float64).reshape(-1, 4), np.asarray(classes, np.int64), tuple(polygons))


def _numbers(words: Sequence[str]) -> list[float]:
    """The numbers of a line, each in its range. Raises ValueError with the reason only."""
    if len(words) != 5 and (len(words) < 7 or not len(words) % 2):
        remedy = "The sixth looks like a confidence: these are predictions, not labels" if len(words) == 6 else ""
        expected = "a class and 4 numbers, or a class and at least 3 points"
        raise ValueError(_said(expected, f"{len(words)} columns", remedy))
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise ValueError(_said("numbers", repr(next(word for word in words if not is_number(word)))[:60])) from None
    for value, word in zip(values, words, strict=True):
        if not math.isfinite(value) or "_" in word:
            raise ValueError(_said("finite numbers", repr(word)[:60]))
    low, high = min(values[1:]), max(values[1:])
    if len(values) == 5 and min(values[3:]) < 0:
        raise ValueError(_said("a width and a height of at least 0", f"{min(values[3:]):g}"))
    if low < -_FAR or high > 1 + _FAR:
        remedy = "These look like pixels; divide them by the image's width and height" if low >= 0 else ""
        raise ValueError(_said("shares of the image, 0..1", f"{(high if high > 1 + _FAR else low):g}", remedy))
    return values


def is_number(word: str) -> bool:
    """Whether a word is written as a number, NaN and infinity among them."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def _class(value: float, word: str, ids: Mapping[int, int] | None) -> int:
    if not value.is_integer() or value < 0:
        raise ValueError(_said("a whole number as the class", repr(word)[:60]))
    number = int(value)
    if ids is None:
        if number >= _CLASSES:
            raise ValueError(_said(f"a class below {_CLASSES}", str(number)[:60]))
        return number
    if number not in ids:
        remedy = "A name is missing, or the classes are counted from 1" if number == max(ids) + 1 else ""
        raise ValueError(_said(f"one of the {len(ids)} named classes, {_range(ids)}", f"class {number}"[:60], remedy))
    return ids[number]


def _range(ids: Mapping[int, int]) -> str:
    low, high = min(ids), max(ids)
    return f"{low} to {high}" if high - low + 1 == len(ids) else f"{low} to {high} with gaps"


def _said(expected: str, got: str, remedy: str = "") -> str:
    return check.sentence("", expected, got, remedy).removeprefix(": ")


def lines(boxes: Boxes, size: tuple[int, int], place: str) -> str:
    """Write boxes as the lines of a label file: those with an outline as outlines, the others as boxes.

    An outline in several rings becomes one, its rings joined where they are nearest; YOLO's lines have no other
    way. Ten decimals bring a box back within a ten-thousandth of a pixel.

    Args:
        boxes: in pixels.
        size: height and width of the upright image, in pixels.
        place: the record, for messages.

    Raises:
        DataError: a box is not finite, or lies so far outside that no reader would take it; names it.
    """
    height, width = size
    written = []
    for index in range(len(boxes)):
        rings = [ring.astype(np.float64) for ring in boxes.polygons[index] if len(ring) >= 3]
        if rings:
            numbers = (joined(rings) / (width, height)).reshape(-1)
        else:
            x1, y1, x2, y2 = boxes.xyxy[index].astype(np.float64)
            numbers = np.asarray([(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height])
        words = [str(int(boxes.classes[index])), *(f"{number:.10f}" for number in numbers)]
        try:
            _numbers(words)
        except ValueError as error:
            raise check.DataError(f"{place}: box {index} cannot be written as YOLO: {error}") from error
        written.append(" ".join(words) + "\n")
    return "".join(written)


def joined(rings: Sequence[np.ndarray]) -> np.ndarray:
    """One outline of several: each ring is entered and left where it is nearest to those before.

    The way there and back has no width, so that the area stays the sum of theirs.

    Args:
        rings: float arrays of shape ``(n, 2)``.

    Example:
        >>> triangle = np.array([[0.0, 0], [2, 0], [0, 2]])
        >>> joined([triangle, triangle + 5]).shape
        (8, 2)
    """
    outline = rings[0]
    for ring in rings[1:]:
        distances = ((outline[:, None] - ring[None]) ** 2).sum(axis=-1)
        here, there = np.unravel_index(int(distances.argmin()), distances.shape)
        turned = np.roll(ring, -int(there), axis=0)
        outline = np.concatenate([outline[: here + 1], turned, turned[:1], outline[here:]])
    return outline
