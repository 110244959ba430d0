"""What the cells of each column look like, counted once before it is decided what the columns are for."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lensmith.data.formats.numbers import as_number
from lensmith.data.formats.tables.addresses import is_url
from lensmith.data.formats.tables.cells import Cell, is_list_of_numbers, looks_like_image
from lensmith.data.formats.tables.table import Line, Table

FEW = 50  # different whole numbers that may be classes
_MOST = 0.9  # of a column's cells say what it holds; the rest are mistakes, and listed
_CHUNK = 1000  # lines looked at together


@dataclass(slots=True)
class Seen:
    """What the cells of a column were seen to be.

    Args:
        filled: how many are not empty; of these are
        numbers: finite numbers,
        wholes: whole ones among these,
        images: names of image files, or URLs,
        pixels: whole numbers in a text,
        lists: lists of numbers.
        urls: whether any is a URL.
        several: whether any holds several labels.
        low: the smallest number.
        high: the largest number.
        first: the first text.
        distinct: the different texts, as many as are needed to know that they are not few.
    """

    filled: int = 0
    numbers: int = 0
    wholes: int = 0
    images: int = 0
    pixels: int = 0
    lists: int = 0
    urls: bool = False
    several: bool = False
    low: float = math.inf
    high: float = -math.inf
    first: str = ""
    distinct: set[str] = field(default_factory=set)

    def take(self, cells: Sequence[Cell]) -> None:
        """Look at more cells."""
        # In most columns a value stands many times: it is looked at once in each chunk of lines.
        for text, times in Counter(cell for cell in cells if isinstance(cell, str)).items():
            if text.strip():
                self._take_text(text, times)
        for cell in cells:
            if not isinstance(cell, str):
                self.filled += 1
                self.several |= isinstance(cell, tuple)
                self.lists += isinstance(cell, np.ndarray)

    def _take_text(self, text: str, times: int) -> None:
        self.filled += times
        self.first = self.first or text
        if len(self.distinct) <= FEW:
            self.distinct.add(text)
        number = as_number(text)
        if number is not None:
            self.numbers += times
            self.wholes += times * number.is_integer()
            self.low, self.high = min(self.low, number), max(self.high, number)
        elif looks_like_image(text):
            self.images += times
            self.urls |= is_url(text)
        elif is_list_of_numbers(text):
            self.pixels += times
        elif "|" in text:
            self.several = True

    def mostly(self, count: int) -> bool:
        """Whether this count is that of nearly all cells that are not empty."""
        return self.filled > 0 and count >= _MOST * self.filled


def survey(tables: Iterable[Table]) -> tuple[dict[str, Seen], int]:
    """What each column of the tables holds, by its name, and the number of lines."""
    seen: dict[str, Seen] = {}
    count = 0
    for table in tables:
        columns = [seen.setdefault(column, Seen()) for column in table.columns]
        lines = (line.cells for line in table.lines() if isinstance(line, Line))
        while chunk := list(itertools.islice(lines, _CHUNK)):
            count += len(chunk)
            for column, cells in zip(columns, zip(*chunk, strict=True), strict=True):
                column.take(cells)
    return seen, count
