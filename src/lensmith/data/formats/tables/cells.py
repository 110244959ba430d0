"""What one cell holds: a text, a number, a list of numbers, or the name of an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lensmith import check
from lensmith.data.formats.numbers import TOO_LARGE, as_number
from lensmith.data.formats.tables.addresses import is_url
from lensmith.data.images import EXTENSIONS

Cell = str | tuple[str, ...] | np.ndarray  # text, several labels, numbers or pixels; an empty text where there is none

_LIST_SIGNS = str.maketrans("[],", "   ")


def looks_like_image(text: str) -> bool:
    """Whether a text is a URL or ends as the name of an image file does."""
    before, _, suffix = text.rpartition(".")
    return (bool(before) and suffix.strip().lower() in EXTENSIONS) or is_url(text)


def is_list_of_numbers(text: str) -> bool:
    """Whether a text is at least four whole numbers in a row: ``0 12 255 3``, ``[0, 12, 255, 3]``."""
    if " " not in text and "," not in text:
        return False
    parts = listed_in(text)
    return len(parts) >= 4 and all(part.isascii() and part.isdigit() for part in parts)


def listed_in(text: str) -> list[str]:
    """The parts of a list in a cell, without the signs around and between them."""
    return text.translate(_LIST_SIGNS).split()


def is_empty(cell: Cell) -> bool:
    """Whether nothing but spaces stands in a cell."""
    return isinstance(cell, str) and not cell.strip()


def text_of(cell: Cell, column: str) -> str:
    """The text of a cell.

    Raises:
        DataError: it is empty, or holds a list; names the column.
    """
    if not isinstance(cell, str):
        raise check.DataError(check.sentence(f"column {column!r}", "one value", "a list"))
    if not cell.strip():
        raise check.DataError(f"nothing in the column {column!r}")
    return cell


def number_of(cell: Cell, column: str) -> float:
    """The number in a cell.

    Raises:
        DataError: there is none, or one that float32 does not hold; names the column.
    """
    text = text_of(cell, column)
    number = as_number(text)
    if number is None:
        raise check.DataError(check.sentence(f"column {column!r}", "a finite number", repr(text[:80])))
    return number


def row_of(cells: Sequence[Cell], columns: Sequence[str]) -> np.ndarray:
    """The numbers of several cells, float32 ``(columns,)``.

    Raises:
        DataError: one is no number; names its column.
    """
    try:  # the short way for rows of thousands of numbers; what it cannot tell goes the long one
        row = np.array(list(map(float, cells)))  # type: ignore[arg-type]
        fits = (np.abs(row) < TOO_LARGE).all()  # False for NaN, too
        if fits and "_" not in "".join(cells):  # type: ignore[arg-type]
            return row.astype(np.float32)
    except (ValueError, TypeError):
        pass
    return np.array([number_of(cell, column) for cell, column in zip(cells, columns, strict=True)], np.float32)
