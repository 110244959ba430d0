"""The page of a contact sheet: cells in rows, each a picture with its line of words, or a reason why there is none."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lensmith.data.overlay import Colour

_PAPER, _MATTE, _BROKEN = (250, 250, 251), (236, 237, 240), (214, 216, 221)
_INK, _PALE = (34, 38, 46), (122, 128, 140)
_MARGIN, _GAP, _TITLE = 20, 14, 46  # pixels: round the sheet, between cells, above all
_NOTE = 26  # pixels above all, where there is only a title
_BRACKET = 5  # pixels between a cell and the line over its group
_LINE, _LINES = 15, 2  # pixels of a line below a cell, and how many there may be
_SQUARE, _SPACE = 13, 9  # pixels: a square of colour with its gap, and between two pieces of a line
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Words = tuple[tuple[str, Colour | None], ...]  # pieces of a line, each with the colour of the square before it


@dataclass(frozen=True, slots=True)
class Cell:
    """What one place of the page shows.

    Args:
        picture: uint8 ``(h, w, 3)``, no larger than the cell; None where there is none.
        caption: what stands below it.
        reason: why there is no picture.
        name: stands above the caption; where it is too long, its end remains.
    """

    picture: np.ndarray | None
    caption: Words = ()
    reason: str = ""
    name: str = ""


def laid_out(
    cells: Sequence[Cell], columns: int, side: int, name: str, title: str, groups: Sequence[int] = ()
) -> np.ndarray:
    """Draw cells in rows below a name and a title.

    Args:
        cells: at least one.
        columns: cells in a row.
        side: of a cell, in pixels.
        name: the larger line; may be empty.
        title: the line below it.
        groups: a number for each cell; those that follow one another with the same number have one line over them.

    Returns:
        uint8 ``(height, width, 3)``.
    """
    columns = min(columns, len(cells))
    places = _places(groups, columns) if groups else list(range(len(cells)))
    rows, head = places[-1] // columns + 1, _TITLE if name else _NOTE
    captions = [_wrapped(cell.caption, side) for cell in cells]
    named = _LINE * any(cell.name for cell in cells)
    step = side + 9 + named + _LINE * max(map(len, captions))
    width = 2 * _MARGIN + columns * side + (columns - 1) * _GAP
    page = Image.new("RGB", (width, 2 * _MARGIN + head + rows * step + (rows - 1) * _GAP), _PAPER)
    pen = ImageDraw.Draw(page)
    for text, y, size, ink in ((name, -6, 17, _INK), (title, head - 30, 12, _PALE)):
        pen.text((_MARGIN, _MARGIN + y), _cut(text, width - 2 * _MARGIN, _font(size)), fill=ink, font=_font(size))
    for at, (place, cell, lines) in enumerate(zip(places, cells, captions, strict=True)):
        left = _MARGIN + place % columns * (side + _GAP)
        top = _MARGIN + head + place // columns * (step + _GAP)
        _place(page, pen, cell, (left, top), side)
        if groups:
            goes_on = at + 1 < len(cells) and groups[at] == groups[at + 1]
            end = left + side - 1 + goes_on * _GAP
            pen.rectangle((left, top - _BRACKET - 1, end, top - _BRACKET), fill=_PALE)
        pen.text((left, top + side + 5), _last(cell.name, side, _font(12)), fill=_PALE, font=_font(12))
        for row, line in enumerate(lines):
            _line(pen, line, (left, top + side + 5 + named + row * _LINE))
    return np.asarray(page)


def _places(groups: Sequence[int], columns: int) -> list[int]:
    """Where each cell stands, counted along the rows: a group that a row can hold is not broken.

    Example:
        >>> _places([0, 0, 1, 1, 2, 2, 2, 2], columns=3)
        [0, 1, 3, 4, 6, 7, 8, 9]
    """
    places: list[int] = []
    for _, members in groupby(groups):
        length, start = len(list(members)), places[-1] + 1 if places else 0
        if start % columns + min(length, columns) > columns:
            start += columns - start % columns
        places += range(start, start + length)
    return places


def _place(page: Image.Image, pen: ImageDraw.ImageDraw, cell: Cell, corner: tuple[int, int], side: int) -> None:
    left, top = corner
    back = _BROKEN if cell.picture is None else _MATTE
    pen.rectangle((left, top, left + side - 1, top + side - 1), fill=back)
    if cell.picture is None:
        _paragraph(pen, cell.reason, corner, side)
    else:
        height, width = cell.picture.shape[:2]
        page.paste(Image.fromarray(cell.picture), (left + (side - width) // 2, top + (side - height) // 2))


def _font(size: int) -> _Font:
    return ImageFont.load_default(size)


def _wrapped(words: Words, width: int) -> list[Words]:
    """The pieces in lines, few enough; of what is left out, three dots remain."""
    font, lines, x = _font(12), [[]], 0.0  # type: ignore[var-annotated]
    for text, colour in words:
        square = 0 if colour is None else _SQUARE
        text = _cut(text, width - square, font)
        length = square + font.getlength(text)
        if lines[-1] and x + length > width:
            if len(lines) == _LINES:
                lines[-1] = _ended(lines[-1], width - x)
                break
            lines.append([])
            x = 0.0
        lines[-1].append((text, colour))
        x += length + _SPACE
    return [tuple(line) for line in lines]


def _ended(line: list[tuple[str, Colour | None]], room: float) -> list[tuple[str, Colour | None]]:
    """A line with three dots behind it, or at the end of its last piece where they do not fit."""
    font, (last, colour) = _font(12), line[-1]
    if font.getlength("…") <= room:
        return [*line, ("…", None)]
    return [*line[:-1], (_cut(f"{last.rstrip('…')} …", room + _SPACE + font.getlength(last), font), colour)]


def _line(pen: ImageDraw.ImageDraw, words: Words, corner: tuple[int, int]) -> None:
    """Pieces of text side by side, each after a square of its colour."""
    (x, y), font = corner, _font(12)
    for text, colour in words:
        if colour is not None:
            pen.rectangle((x, y + 3, x + 8, y + 11), fill=colour)
            x += _SQUARE
        pen.text((x, y), text, fill=_INK, font=font)
        x += round(font.getlength(text)) + _SPACE


def _cut(text: str, width: float, font: _Font) -> str:
    text = " ".join(_plain(text).split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…" if font.getlength("…") <= width else ""


def _last(text: str, width: float, font: _Font) -> str:
    """Text cut at its start: of names that differ at the end, the end says which it is."""
    text = " ".join(_plain(text).split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"…{text}") > width:
        text = text[1:]
    return f"…{text.lstrip()}" if font.getlength("…") <= width else ""


def _plain(text: str) -> str:
    """Text without accents, which the font that Pillow brings along cannot draw; nor can it draw other scripts."""
    apart = unicodedata.normalize("NFD", text)
    return "".join(letter for letter in apart if unicodedata.category(letter) != "Mn")


def _paragraph(pen: ImageDraw.ImageDraw, text: str, corner: tuple[int, int], side: int) -> None:
    """A reason, broken into lines that fit into a cell."""
    font, lines, room = _font(11), [""], side - 16
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if font.getlength(longer) <= room or not lines[-1] else [*lines, word]
    most = max((side - 16) // 15, 1)
    shown = [_cut(line, room, font) for line in lines[:most]]
    for place, line in enumerate(shown):
        y = corner[1] + (side - 15 * len(shown)) // 2 + 15 * place
        pen.text((corner[0] + side / 2, y), line, fill=_INK, font=font, anchor="ma")
