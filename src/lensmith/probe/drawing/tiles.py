"""Pictures side by side, each with its line of words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import ImageDraw

from lensmith import check
from lensmith.probe.drawing import paper

_WIDE = 1000  # pixels that a row of a grid may take, where no number of columns is asked for
_WORDS = 2  # lines of a caption
_STRETCHED = 4  # times its height that a picture in a row may be wide


def grid(
    tiles: Sequence[np.ndarray],
    captions: Sequence[str] = (),
    *,
    columns: int | None = None,
    cell: int = 96,
    title: str = "",
) -> np.ndarray:
    """Pictures in rows of equal cells.

    Args:
        tiles: uint8 ``(h, w)``, ``(h, w, 1)`` or ``(h, w, 3)``, of any sizes; small ones are enlarged by repeating
            pixels, large ones made smaller by averaging.
        captions: one for each, or none; what is too long ends in three dots.
        columns: how many in a row; by default as many as a page holds, the rows about equally long.
        cell: pixels of a cell's side. Where all tiles have one size, it is the nearest multiple of that, so that each
            of their pixels is a square of the same size.
        title: a line above.

    Returns:
        uint8 RGB ``(height, width, 3)``.

    Raises:
        DataError: there is no tile, one of them is no picture, or there are not as many captions as tiles.
        SettingError: ``columns`` or ``cell`` is not a whole number of at least 1.

    Example:
        >>> grid([np.zeros((8, 8), np.uint8)] * 3, ["a", "b", "c"], cell=16).shape
        (68, 100, 3)
    """
    check.positive("cell", cell)
    pictures = _pictures(tiles)
    words = paper.captioned(captions, len(pictures))
    across = (
        _columns(len(pictures), cell) if columns is None else min(check.positive("columns", columns), len(pictures))
    )
    side = _side(pictures, cell)
    lines = [paper.wrapped(text, side, _WORDS) for text in words]
    step = side + _below(lines) + paper.GAP
    rows = math.ceil(len(pictures) / across)
    width = across * side + (across - 1) * paper.GAP
    page, pen, top = paper.sheet(width, rows * step - paper.GAP, title)
    for at, (picture, text) in enumerate(zip(pictures, lines, strict=True)):
        x, y = paper.MARGIN + at % across * (side + paper.GAP), top + at // across * step
        pen.rectangle((x, y, x + side - 1, y + side - 1), fill=paper.MATTE)
        small = paper.fitted(picture, side, side)
        paper.paste(page, small, (x + (side - small.shape[1]) // 2, y + (side - small.shape[0]) // 2))
        _caption(pen, text, x, y + side)
    return np.asarray(page)


def beside(pictures: Sequence[np.ndarray], captions: Sequence[str] = (), *, height: int = 224) -> np.ndarray:
    """Pictures in one row, all of the same height.

    Args:
        pictures: as the tiles of :func:`grid`; one more than four times as wide as high is less high than the others.
        captions: one for each, or none.
        height: pixels of each.

    Returns:
        uint8 RGB ``(height, width, 3)``.

    Raises:
        DataError: there is no picture, one of them is none, or there are not as many captions as pictures.
        SettingError: ``height`` is not a whole number of at least 1.

    Example:
        >>> beside([np.zeros((2, 4), np.uint8), np.zeros((4, 4, 3), np.uint8)], height=8).shape
        (40, 66, 3)
    """
    check.positive("height", height)
    shown = [paper.fitted(picture, height, _STRETCHED * height) for picture in _pictures(pictures)]
    lines = [
        paper.wrapped(text, picture.shape[1], _WORDS)
        for text, picture in zip(paper.captioned(captions, len(shown)), shown, strict=True)
    ]
    width = sum(picture.shape[1] for picture in shown) + paper.GAP * (len(shown) - 1)
    page, pen, top = paper.sheet(width, height + _below(lines))
    x = paper.MARGIN
    for picture, text in zip(shown, lines, strict=True):
        paper.paste(page, picture, (x, top + (height - picture.shape[0]) // 2))
        _caption(pen, text, x, top + height)
        x += picture.shape[1] + paper.GAP
    return np.asarray(page)


def _pictures(tiles: Sequence[np.ndarray]) -> list[np.ndarray]:
    if len(tiles) == 0:
        raise check.DataError(check.sentence("tiles", "at least one picture", "none"))
    return [paper.coloured_picture(f"tile {at}", tile) for at, tile in enumerate(tiles, 1)]


def _columns(count: int, cell: int) -> int:
    most = max(1, (_WIDE + paper.GAP) // (cell + paper.GAP))
    return math.ceil(count / math.ceil(count / most))


def _side(pictures: Sequence[np.ndarray], cell: int) -> int:
    """The cell's side: a whole number of times that of the tiles, where they are small and of one size."""
    longest = {max(picture.shape[:2]) for picture in pictures}
    side = min(longest)
    return cell if len(longest) > 1 or side > cell else side * round(cell / side)


def _below(lines: Sequence[tuple[str, ...]]) -> int:
    """Pixels below a picture that the longest caption needs."""
    rows = max(sum(map(bool, text)) for text in lines)
    return rows and 5 + rows * paper.LINE


def _caption(pen: ImageDraw.ImageDraw, lines: tuple[str, ...], x: int, y: int) -> None:
    for row, text in enumerate(lines):
        paper.put(pen, (x, y + 4 + row * paper.LINE), text)
