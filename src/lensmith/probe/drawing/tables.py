"""A table as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import ImageDraw

from lensmith import check
from lensmith.probe.drawing import paper

_ROW, _SPACE = 22, 24  # pixels of a row, and between two columns
_WIDEST = 320  # pixels of a column; longer words are cut
_MOST = 400  # rows that are drawn


def table(rows: Sequence[Sequence[str]], head: Sequence[str], *, title: str = "") -> np.ndarray:
    """Words and numbers in rows; columns that hold numbers only are aligned at their right.

    Args:
        rows: each with as many pieces of text as the head; may be empty. Of more than 400, the first are drawn and the
            others counted.
        head: the names of the columns.
        title: a line above.

    Returns:
        uint8 RGB ``(height, width, 3)``.

    Raises:
        DataError: there is no column, or a row has another number of pieces.

    Example:
        >>> table([["conv1", "448"]], ["layer", "weights"]).ndim
        3
    """
    if not head:
        raise check.DataError(check.sentence("head", "at least one column", "none"))
    for at, row in enumerate(rows, 1):
        if len(row) != len(head):
            raise check.DataError(check.sentence(f"row {at}", f"{len(head)} pieces of text", len(row)))
    shown = [[paper.cut(text, _WIDEST) for text in row] for row in [head, *rows[:_MOST]]]
    left_out = f"and {len(rows) - _MOST:,} more" if len(rows) > _MOST else "" if rows else "nothing to list"
    columns = list(zip(*shown, strict=True))
    widths = [max(map(paper.length, column)) for column in columns]
    right = [len(column) > 1 and all(map(_is_number, column[1:])) for column in columns]
    width = max(sum(widths) + _SPACE * (len(widths) - 1), paper.length(left_out), min(paper.length(title, 17), 640))
    page, pen, top = paper.sheet(width, _ROW * (len(shown) + bool(left_out)), title)
    for at, row in enumerate(shown):
        y = top + at * _ROW
        _row(pen, row, widths, right, y, soft=at == 0)
        pen.line((paper.MARGIN, y + _ROW - 1, paper.MARGIN + width - 1, y + _ROW - 1), fill=paper.RULE)
    paper.put(pen, (paper.MARGIN, top + len(shown) * _ROW + 4), left_out, soft=True)
    return np.asarray(page)


def _row(
    pen: ImageDraw.ImageDraw, row: Sequence[str], widths: Sequence[int], right: Sequence[bool], y: int, *, soft: bool
) -> None:
    x = paper.MARGIN
    for text, width, at_right in zip(row, widths, right, strict=True):
        paper.put(pen, (x + width * at_right, y + 3), text, "ra" if at_right else "la", soft=soft)
        x += width + _SPACE


def _is_number(text: str) -> bool:
    """Whether a piece of text reads as a number, perhaps with a unit behind it, or says that there is none."""
    return not text or text[0].isdigit() or text in ("–", "-") or (text[0] in "+-−.<" and text[1:2].isdigit())
