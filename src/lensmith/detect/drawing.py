"""What was found, drawn over its picture: boxes in the colours of their classes, names that can be read."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lensmith.data.overlay import Colour, colour_of
from lensmith.detect.finding import Found

READABLE = 320  # pixels: the longer side from which names can be read; smaller pictures are drawn enlarged
_LINE, _LETTER = 0.0035, 0.022  # of the mean of height and width: the width of lines, the size of letters
_LEAST_LETTER = 11  # pixels
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)

Area = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels


@dataclass(frozen=True, slots=True)
class _Pen:
    """How things are drawn in a picture of one size."""

    line: int
    letter: int
    pad: int

    @staticmethod
    def of(size: tuple[int, int]) -> _Pen:
        mean = (size[0] + size[1]) / 2
        letter = max(_LEAST_LETTER, round(_LETTER * mean))
        return _Pen(max(2, round(_LINE * mean)), letter, max(2, letter // 5))


def draw(picture: np.ndarray, found: Found) -> np.ndarray:
    """A picture with what was found in it.

    A class has the same colour in every picture. Lines and letters grow with the picture; one whose longer side is
    under 320 pixels is enlarged by a whole number first, so that the names can be read. Names keep inside the
    picture and, where there is room, clear of each other.

    Args:
        picture: uint8 ``(h, w, 3)``; it is not changed.
        found: in pixels of this picture.

    Returns:
        uint8 ``(n h, n w, 3)`` with n = :func:`enlarged_by`.

    Example:
        >>> one = Found((400, 400), np.array([[40, 40, 200, 300]]), np.array([0.9]), np.array([3]), ("dog",))
        >>> drawn = draw(np.zeros((400, 400, 3), np.uint8), one)
        >>> drawn[200, 40].tolist() == list(colour_of(3))
        True
    """
    times = enlarged_by((picture.shape[0], picture.shape[1]))
    canvas = Image.fromarray(picture.repeat(times, axis=0).repeat(times, axis=1))
    brush, pen = ImageDraw.Draw(canvas), _Pen.of((canvas.height, canvas.width))
    boxes = [_inside(corners, canvas.size) for corners in (found.boxes * times).tolist()]
    colours = [colour_of(index) for index in found.classes.tolist()]
    for box, colour in reversed(list(zip(boxes, colours, strict=True))):  # the best last, so that it lies on top
        brush.rectangle(box, outline=colour, width=min(pen.line, *_thickest(box)))
    placed: list[Area] = []
    for box, colour, text in zip(boxes, colours, _texts(found), strict=True):
        placed.append(_write(brush, pen, box, colour, text, canvas.size, placed))
    return np.asarray(canvas)


def enlarged_by(size: tuple[int, int]) -> int:
    """How many times larger a picture of a height and width is drawn.

    Example:
        >>> enlarged_by((480, 640)), enlarged_by((32, 20))
        (1, 10)
    """
    return -(-READABLE // max(size))


def ink_on(colour: Colour) -> Colour:
    """Black or white, whichever stands out more from a colour (contrast ratio of WCAG 2.1).

    Example:
        >>> ink_on((255, 255, 0)), ink_on((120, 0, 0))
        ((0, 0, 0), (255, 255, 255))
    """
    light = _luminance(colour)
    return _BLACK if (light + 0.05) ** 2 > 1.05 * 0.05 else _WHITE


def _luminance(colour: Colour) -> float:
    shares = [value / 255 for value in colour]
    red, green, blue = (one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _texts(found: Found) -> list[str]:
    return [f"{label} {score:.2f}" for label, score in zip(found.labels, found.scores.tolist(), strict=True)]


def _inside(corners: Sequence[float], size: tuple[int, int]) -> Area:
    """A box as the pixels of its outermost lines, both inside the picture."""
    x1, y1, x2, y2 = corners
    left, top = min(max(round(x1), 0), size[0] - 1), min(max(round(y1), 0), size[1] - 1)
    return left, top, max(min(round(x2), size[0]) - 1, left), max(min(round(y2), size[1]) - 1, top)


def _thickest(box: Area) -> tuple[int, int]:
    """The widest line that leaves something of the inside of a box to be seen, by width and height."""
    return max(1, (box[2] - box[0]) // 4), max(1, (box[3] - box[1]) // 4)


def _write(
    brush: ImageDraw.ImageDraw,
    pen: _Pen,
    box: Area,
    colour: Colour,
    text: str,
    size: tuple[int, int],
    placed: Sequence[Area],
) -> Area:
    """Write a name on a ground of its colour; returns where."""
    font = _font(pen.letter)
    text = _shortened(text, font, size[0] - 2 * pen.pad)
    ascent, descent = font.getmetrics()
    width, height = round(font.getlength(text)) + 2 * pen.pad, ascent + descent + pen.pad
    area = _room(box, (width, min(height, size[1])), size, placed)
    brush.rectangle((area[0], area[1], area[2] - 1, area[3] - 1), fill=colour)
    brush.text((area[0] + pen.pad, area[1] + pen.pad // 2), text, fill=ink_on(colour), font=font)
    return area


def _room(box: Area, label: tuple[int, int], size: tuple[int, int], placed: Sequence[Area]) -> Area:
    """Where a label goes: above the box, in it, below it or at its right side, the first that is free."""
    width, height = label
    left, top, right, bottom = box
    free = [
        (left, top - height),
        (left, top),
        (left, bottom + 1),
        (left, bottom + 1 - height),
        (right + 1 - width, top),
        (right + 1 - width, bottom + 1 - height),
    ]
    # What would leave the picture is moved into it, sideways always, up and down only if nothing else is left.
    areas = [_moved_in(place, label, size) for place in free]
    fitting = [area for area, place in zip(areas, free, strict=True) if area[1] == place[1]] or areas
    return next((area for area in fitting if not _meets(area, placed)), fitting[0])


def _moved_in(place: tuple[int, int], label: tuple[int, int], size: tuple[int, int]) -> Area:
    x, y = (max(0, min(start, side - length)) for start, side, length in zip(place, size, label, strict=True))
    return x, y, x + label[0], y + label[1]


def _meets(area: Area, others: Iterable[Area]) -> bool:
    return any(
        area[0] < other[2] and other[0] < area[2] and area[1] < other[3] and other[1] < area[3] for other in others
    )


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: int) -> str:
    """As much of a text as there is room for, with dots where something is missing."""
    if font.getlength(text) <= room:
        return text
    fitting = (f"{text[:count]}…" for count in range(len(text) - 1, 0, -1))
    return next((shorter for shorter in fitting if font.getlength(shorter) <= room), "")


@functools.lru_cache(maxsize=8)
def _font(letter: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font; unpacking it takes longer than writing with it."""
    font = ImageFont.load_default(letter)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("this Pillow was built without FreeType, which its wheels have")
    return font
