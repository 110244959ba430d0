"""What was found, drawn over its picture: boxes in the colours of their classes, names that can be read."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lensmith import check
from lensmith.data.overlay import Colour, colour_of
from lensmith.detect.finding import Found

READABLE = 320  # pixels: the longer side from which names can be read; smaller pictures are drawn enlarged
_LINE, _LETTER = 0.0035, 0.021  # of the mean of height and width: the width of lines, the size of letters
_LEAST_LETTER = 11  # pixels
_SMALL = 0.6  # of the letters' size: for small boxes, whose names would hide too much else
_IN_BOX = 0.25  # of a box's shorter side: as large as letters are unless the limits say otherwise
_HIDES_NAME = 3.0  # how much worse it is to hide a name than to hide what is in a small box
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)

Area = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels


@dataclass(frozen=True, slots=True)
class _Pen:
    """How things are drawn in a picture of one size."""

    line: int
    letter: int

    @staticmethod
    def of(size: tuple[int, int]) -> _Pen:
        mean = (size[0] + size[1]) / 2
        return _Pen(max(2, round(_LINE * mean)), max(_LEAST_LETTER, round(_LETTER * mean)))

    def letter_for(self, box: Area) -> int:
        """The size of the letters of a box's name."""
        least = max(_LEAST_LETTER, round(_SMALL * self.letter))
        return min(max(round(_IN_BOX * min(box[2] - box[0], box[3] - box[1])), least), self.letter)


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
    labels = _labels(boxes, _texts(found), pen, canvas.size)
    for label, colour in reversed(list(zip(labels, colours, strict=True))):
        _write(brush, label, colour)
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


@dataclass(frozen=True, slots=True, eq=False)
class _Label:
    """A name, where its ground lies, and how it is written."""

    text: str
    area: Area
    font: ImageFont.FreeTypeFont
    pad: int


def _labels(boxes: Sequence[Area], texts: Sequence[str], pen: _Pen, size: tuple[int, int]) -> list[_Label]:
    """The names of boxes; the best has the first choice of a place."""
    labels: list[_Label] = []
    for box, text in zip(boxes, texts, strict=True):
        font = _font(pen.letter_for(box))
        pad = max(2, round(font.size) // 5)
        short = _shortened(text, font, size[0] - 2 * pad)
        ascent, descent = font.getmetrics()
        extent = round(font.getlength(short)) + 2 * pad, min(ascent + descent + pad, size[1])
        small = [one for one in boxes if _extent(one) < 2 * extent[0] * extent[1]]
        area = _room(box, extent, size, [label.area for label in labels], small)
        labels.append(_Label(short, area, font, pad))
    return labels


def _write(brush: ImageDraw.ImageDraw, label: _Label, colour: Colour) -> None:
    left, top, right, bottom = label.area
    brush.rectangle((left, top, right - 1, bottom - 1), fill=colour)
    brush.text((left + label.pad, top + label.pad // 2), label.text, fill=ink_on(colour), font=label.font)


def _room(
    box: Area, label: tuple[int, int], size: tuple[int, int], placed: Sequence[Area], small: Sequence[Area]
) -> Area:
    """Where a label goes: above its box, in it, below it or beside it, wherever it hides least."""
    width, height = label
    left, top, right, bottom = box[0], box[1], box[2] + 1, box[3] + 1
    wanted = [
        (left, top - height),
        (left, top),
        (left, bottom),
        (left, bottom - height),
        (right, top),
        (left - width, top),
        (right - width, top - height),
        (right - width, bottom),
    ]
    areas = [_moved_in(place, label, size) for place in wanted]
    # What would leave the picture is moved into it; upwards or downwards only if nothing else is left.
    fitting = [area for area, place in zip(areas, wanted, strict=True) if area[1] == place[1]] or areas
    return min(fitting, key=lambda area: _HIDES_NAME * _hidden(area, placed) + _hidden(area, small))


def _moved_in(place: tuple[int, int], label: tuple[int, int], size: tuple[int, int]) -> Area:
    x, y = (max(0, min(start, side - length)) for start, side, length in zip(place, size, label, strict=True))
    return x, y, x + label[0], y + label[1]


def _hidden(area: Area, others: Iterable[Area]) -> int:
    """How many pixels of others it hides."""
    return sum(
        max(0, min(area[2], other[2]) - max(area[0], other[0]))
        * max(0, min(area[3], other[3]) - max(area[1], other[1]))
        for other in others
    )


def _extent(box: Area) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


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
        raise check.LensmithError("this Pillow writes no letters of any size: it was built without FreeType")
    return font
