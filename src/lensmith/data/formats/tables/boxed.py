"""A table with a line a box: the box of a line, and the boxes of an image while its lines are gone through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lensmith import boxes
from lensmith.data.formats.numbers import as_number
from lensmith.data.formats.tables.cells import Cell, is_empty, number_of
from lensmith.data.formats.tables.names import MARKS, plain
from lensmith.data.formats.tables.table import Row
from lensmith.records import Boxes

_YES = ("1", "1.0", "true", "yes")


class Box(NamedTuple):
    """What a line says of a box: x1, y1, x2, y2 in pixels, and whether each mark is set."""

    corners: list[float]
    marks: dict[str, bool]


@dataclass(slots=True)
class Boxed:
    """An image and its boxes, as far as they were read.

    Args:
        row: the first of its lines, of which group, part and facts are taken.
        image: its file or pixels.
        size: height and width in pixels, where the line says so.
    """

    row: Row
    image: Path | np.ndarray
    size: tuple[int, int] | None
    found: list[Box] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)

    def boxes(self) -> Boxes:
        crowd, difficult, truncated = (np.array([box.marks[mark] for box in self.found], bool) for mark in MARKS)
        corners = np.array([box.corners for box in self.found])
        return Boxes(corners, np.array(self.classes), (), crowd, difficult, truncated)


def read_box(row: Row, columns: Sequence[str]) -> Box | None:
    """The box of a line; None where the corners are empty: an image without a box.

    Args:
        row: the line.
        columns: of the four corners, and others.

    Raises:
        DataError: a corner is no number, or the box has no extent.
    """
    corners = row.all_of(columns[:4])
    if all(map(is_empty, corners)):
        return None
    numbers = [number_of(cell, column) for cell, column in zip(corners, columns[:4], strict=True)]
    boxes.validate(np.array([numbers]), "the box")
    named = _by_name(row, columns)
    return Box(numbers, {mark: str(named.get(mark, "")).strip().lower() in _YES for mark in MARKS})


def read_size(row: Row, columns: Sequence[str]) -> tuple[int, int] | None:
    """Height and width of the image in pixels, where a line says so."""
    named = _by_name(row, columns)
    height, width = (as_number(str(named.get(name, ""))) for name in ("height", "width"))
    return (int(height), int(width)) if height and width and min(height, width) >= 1 else None


def _by_name(row: Row, columns: Sequence[str]) -> Mapping[str, Cell]:
    return {plain(one): row.cell(one) for one in columns[4:]}
