"""A picture for a report: the objects that are there in white, what was found in colours."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lensmith.detect.drawing import Area, draw, enlarged_by
from lensmith.detect.finding import Found
from lensmith.detect.mistakes import Mistakes
from lensmith.records import Boxes

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_DASH = 7  # pixels of a stripe
_LETTER = 13  # pixels
_LONGEST_NAME = 16  # letters
_MOST_NAMES = 6  # of objects in a picture; more would hide it


def draw_mistakes(
    picture: np.ndarray,
    truth: Boxes,
    found: np.ndarray,
    names: Sequence[str],
    *,
    longest: int,
    wrong: Mistakes | None = None,
) -> np.ndarray:
    """The objects of an image as white frames, and what a detector found in colours with names and scores.

    Args:
        picture: uint8 ``(h, w, 3)``; made smaller where it is larger than ``longest``.
        truth: the objects, in its pixels.
        found: ``(k, 6)``: x1, y1, x2, y2 in its pixels, score, class.
        names: of the classes.
        longest: pixels of the longer side.
        wrong: what is wrong in this image. The frames of missed objects are striped black and white; they and those of
            confused ones bear the object's name, white on black.

    Returns:
        uint8 ``(h', w', 3)``.

    Example:
        >>> there, nothing = Boxes([[10, 10, 300, 200]], [0]), np.zeros((0, 6))
        >>> drawn = draw_mistakes(np.zeros((400, 400, 3), np.uint8), there, nothing, ("dog",), longest=400)
        >>> drawn[100, 11].tolist(), drawn[100, 100].tolist()
        ([255, 255, 255], [0, 0, 0])
    """
    ground, factor = _sized(picture, longest)
    canvas = Image.fromarray(ground)
    frames = [_inside(corners, canvas.size) for corners in (truth.xyxy * factor).tolist()]
    missed = set() if wrong is None else set(wrong.missed.tolist())
    brush = ImageDraw.Draw(canvas)
    for place, frame in enumerate(frames):
        (_striped if place in missed else _plain)(brush, frame)
    classes = found[:, 5].astype(np.int64)
    labels = tuple(names[index] for index in classes.tolist())
    things = Found((canvas.height, canvas.width), found[:, :4] * factor, found[:, 4], classes, labels)
    canvas = Image.fromarray(draw(np.asarray(canvas), things))  # after the frames, so that no name is crossed out
    for place in _named(frames, wrong):
        _write(ImageDraw.Draw(canvas), frames[place], names[int(truth.classes[place])], canvas.size)
    return np.asarray(canvas)


def _sized(picture: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    """The picture no larger than that, a small one enlarged as by :func:`draw`; and how many times larger it is."""
    factor = min(1.0, longest / max(picture.shape[:2]))
    size = max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if factor < 1 else picture
    times = enlarged_by((size[1], size[0]))
    return small.repeat(times, axis=0).repeat(times, axis=1), factor * times


def _inside(corners: Sequence[float], size: tuple[int, int]) -> Area:
    """A box as the pixels of its outermost lines, all inside the picture."""
    x1, y1, x2, y2 = corners
    left, top = min(max(round(x1), 0), size[0] - 1), min(max(round(y1), 0), size[1] - 1)
    return left, top, max(min(round(x2), size[0]) - 1, left), max(min(round(y2), size[1]) - 1, top)


def _plain(brush: ImageDraw.ImageDraw, frame: Area) -> None:
    """A white line between two black ones, which shows on any ground."""
    left, top, right, bottom = frame
    brush.rectangle(frame, outline=_BLACK, width=4)
    if right - left >= 2 and bottom - top >= 2:
        brush.rectangle((left + 1, top + 1, right - 1, bottom - 1), outline=_WHITE, width=2)


def _striped(brush: ImageDraw.ImageDraw, frame: Area) -> None:
    """A frame of black and white stripes."""
    left, top, right, bottom = frame
    brush.rectangle(frame, outline=_BLACK, width=3)
    for start in range(left, right + 1, 2 * _DASH):
        for row in (top, max(bottom - 2, top)):
            brush.rectangle((start, row, min(start + _DASH - 1, right), min(row + 2, bottom)), fill=_WHITE)
    for start in range(top, bottom + 1, 2 * _DASH):
        for column in (left, max(right - 2, left)):
            brush.rectangle((column, start, min(column + 2, right), min(start + _DASH - 1, bottom)), fill=_WHITE)


def _named(frames: Sequence[Area], wrong: Mistakes | None) -> list[int]:
    """The objects whose names are told: the largest of those that were missed or confused."""
    if wrong is None:
        return []
    places = [*wrong.missed.tolist(), *wrong.confused[:, 1].tolist()]
    return sorted(places, key=lambda place: (-_extent(frames[place]), place))[:_MOST_NAMES]


def _extent(frame: Area) -> int:
    return (frame[2] - frame[0]) * (frame[3] - frame[1])


def _write(brush: ImageDraw.ImageDraw, frame: Area, name: str, size: tuple[int, int]) -> None:
    """The name of an object, white on black, in the lower right corner of its frame or, of a low one, below it."""
    font = ImageFont.load_default(_LETTER)
    name = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    left, top, right, bottom = brush.textbbox((0, 0), name, font=font)
    width, height = round(right - left) + 6, round(bottom - top) + 6
    low = frame[3] - 2 if frame[3] - frame[1] > 2 * height else frame[3] + height
    x = max(min(frame[2] - 2 - width, size[0] - width), 0)
    y = max(min(low - height, size[1] - height), 0)
    brush.rectangle((x, y, x + width - 1, y + height - 1), fill=_BLACK)
    brush.text((x + 3 - left, y + 3 - top), name, fill=_WHITE, font=font)
