"""What a table is, whatever file it comes from: named columns, and lines of cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lensmith.data.formats.tables.cells import Cell
from lensmith.data.formats.tables.images import ImageFolders
from lensmith.records import Problem


class Line(NamedTuple):
    """One row: where it stands, and its cells."""

    source: str
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns, and lines that can be gone through several times.

    Args:
        name: of the file.
        columns: their names; each stands once.
        lines: each with as many cells as there are columns, or what is wrong with it.
        images: where relative image paths may start from.
        part: of all lines, where the file's name says so.
        header: whether the names stand in the file.
    """

    name: str
    columns: tuple[str, ...]
    lines: Callable[[], Iterator[Line | Problem]]
    images: ImageFolders = field(default_factory=lambda: ImageFolders(()))
    part: str | None = None
    header: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A line beside the table that it stands in.

    Args:
        table: that it stands in.
        places: of the table's columns, by their names.
        line: the line.
    """

    table: Table
    places: Mapping[str, int]
    line: Line

    def cell(self, column: str) -> Cell:
        return self.line.cells[self.places[column]]

    def all_of(self, columns: Sequence[str]) -> list[Cell]:
        return [self.line.cells[self.places[one]] for one in columns]
