"""White paper, ink, words that fit and pictures brought to a size: what all drawings share."""

from __future__ import annotations

import bisect
import functools
import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lensmith import check

PAPER, MATTE, RULE = (255, 255, 255), (236, 237, 240), (227, 228, 226)
INK, SOFT, FAINT = (29, 31, 35), (98, 103, 111), (154, 158, 165)
MARGIN, GAP = 16, 10  # pixels round a drawing, and between what stands in it
LINE = 15  # pixels from one line of small words to the next
FINE = 3  # slanted lines and dots are drawn so many times larger, then averaged
_LONGEST = 400  # letters of a caption that are looked at; more never fit
_INSTEAD = {
    "×": "x",
    "−": "-",
    "–": "-",
    "—": "-",
    "ß": "ss",
    "→": ">",
    "≤": "<=",
    "≥": ">=",
    "æ": "ae",
    "ø": "o",
    "µ": "u",
    "½": "1/2",
    "∞": "inf",
    "ł": "l",
    "Ł": "L",
}
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@functools.cache
def font(size: int) -> _Font:
    """The font that Pillow brings along, of a height in pixels."""
    return ImageFont.load_default(size)


def length(text: str, size: int = 12) -> int:
    """How many pixels wide words are."""
    return round(font(size).getlength(plain(text)) + 0.5)


def plain(text: str) -> str:
    """Text in one line and in letters that the font has: without accents, and ``?`` for what it cannot draw.

    Example:
        >>> plain("café  28×28, 日")
        'cafe 28x28, ?'
    """
    return " ".join("".join(map(_drawable, str(text)[:_LONGEST])).split())


@functools.cache
def _drawable(letter: str) -> str:
    """The letter, or what is nearest to it of all that the font has."""
    if letter.isspace():
        return " "
    missing = _shape("\U0010ffff")
    apart = "".join(part for part in unicodedata.normalize("NFKD", letter) if unicodedata.category(part) != "Mn")
    for text in (letter, _INSTEAD.get(letter, ""), apart):
        if text and all(_shape(part) != missing for part in text):
            return text
    return "" if unicodedata.category(letter)[0] in "MC" else "?"


def _shape(letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font(12).getmask(letter)
    return mask.size, bytes(mask)


def cut(text: str, width: float, size: int = 12) -> str:
    """Text that fits into a width: of what is too long, three dots remain.

    Example:
        >>> cut("feature maps", 50), cut("feature maps", 500), cut("feature maps", 2)
        ('feature…', 'feature maps', '')
    """
    text, letters = plain(text), font(size)
    if letters.getlength(text) <= width:
        return text
    kept = bisect.bisect_right(range(len(text) + 1), width, key=lambda kept: letters.getlength(f"{text[:kept]}…")) - 1
    return f"{text[:kept].rstrip()}…" if kept >= 0 else ""


def wrapped(text: str, width: float, most: int, size: int = 12) -> tuple[str, ...]:
    """Text in at most so many lines, broken at spaces, the last of them cut."""
    found, words = [""], plain(text).split()
    for at, word in enumerate(words):
        longer = f"{found[-1]} {word}".strip()
        if not found[-1] or font(size).getlength(longer) <= width:
            found[-1] = longer
        elif len(found) < most:
            found.append(word)
        else:
            found[-1] = " ".join([found[-1], *words[at:]])
            break
    return tuple(cut(line, width, size) for line in found)


def sheet(width: int, height: int, title: str = "") -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    """White paper for something of this size, with margins and a title above it.

    Returns:
        the page, a pen for it, and the pixels from its top edge to what stands below the title.
    """
    top = MARGIN + (30 if title else 0)
    page = Image.new("RGB", (width + 2 * MARGIN, height + top + MARGIN), PAPER)
    pen = ImageDraw.Draw(page)
    pen.text((MARGIN, MARGIN - 4), cut(title, width, 17), fill=INK, font=font(17))
    return page, pen, top


def put(pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, anchor: str = "la", soft: bool = False) -> None:
    """Write small words; the anchor is Pillow's: l, m or r across, then a (top), m or s (base line)."""
    pen.text(at, plain(text), fill=SOFT if soft else INK, font=font(12), anchor=anchor)


def paste(page: Image.Image, picture: np.ndarray, corner: tuple[int, int]) -> None:
    """Put a uint8 RGB picture onto the page."""
    page.paste(Image.fromarray(np.ascontiguousarray(picture)), corner)


def over(page: Image.Image, layer: Image.Image, corner: tuple[int, int]) -> None:
    """Put a layer that was drawn :data:`FINE` times too large onto the page, smoothly."""
    small = layer.reduce(FINE)
    page.paste(small, corner, small)


def coloured_picture(place: str, value: np.ndarray) -> np.ndarray:
    """A picture with three channels, checked.

    Args:
        place: what a refusal calls it.
        value: uint8 ``(h, w)``, ``(h, w, 1)`` or ``(h, w, 3)``.

    Raises:
        DataError: it has another type or shape, or no pixel.
    """
    found = np.asarray(value)
    shaped = found.ndim == 2 or (found.ndim == 3 and found.shape[2] in (1, 3))
    if found.dtype != np.uint8 or not shaped or not found.size:
        expected = "a uint8 picture (h, w), (h, w, 1) or (h, w, 3)"
        raise check.DataError(check.sentence(place, expected, f"{found.dtype} {found.shape}"))
    found = found[..., None] if found.ndim == 2 else found
    return np.broadcast_to(found, (*found.shape[:2], 3))  # a view: of many pictures none is copied before its turn


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture at another size: larger by repeating pixels, smaller by averaging them."""
    if picture.shape[:2] == (height, width):
        return picture
    smaller = height * width < picture.shape[0] * picture.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_NEAREST_EXACT
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=way), np.uint8)


def fitted(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """The picture as large as it can be in a place of this size, its sides in proportion."""
    share = min(height / picture.shape[0], width / picture.shape[1])
    sides = (max(1, round(side * share)) for side in picture.shape[:2])
    return resized(picture, *sides)


def captioned(captions: Sequence[str], count: int) -> tuple[str, ...]:
    """A caption for each of so many pictures, or none at all.

    Raises:
        DataError: there are some, but not as many.
    """
    if len(captions) not in (0, count):
        raise check.DataError(check.sentence("captions", f"none, or one for each of {count} pictures", len(captions)))
    return tuple(captions) or ("",) * count
