"""The lines of a CSV file: how its cells are separated, whether it has a header, and what stands in each line."""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lensmith import check
from lensmith.data.formats.format import Hints
from lensmith.data.formats.numbers import as_number
from lensmith.data.formats.tables.cells import looks_like_image
from lensmith.data.formats.tables.names import UNNAMED, is_plain_name, plain
from lensmith.data.formats.tables.table import Line
from lensmith.data.formats.walking import closed, shown
from lensmith.records import Problem

_SEPARATORS = (",", "\t", ";", "|")
_WORDS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}
_LOOK = 1 << 16  # characters looked at to find the separator
_LONGEST = 1 << 24  # characters of a first line


class Dialect(NamedTuple):
    """The separator of cells, and whether a space follows it."""

    separator: str
    spaced: bool = False


def look(path: Path, hints: Hints) -> tuple[tuple[str, ...], bool, Dialect]:
    """The names of a table's columns, whether they stand in its first line, and how cells are separated.

    Raises:
        DataError: the file cannot be read, is no text or empty, or a column stands twice.
        SettingError: the separator of the hints is none.
    """
    head, whole = _head(path)
    dialect = _dialect(head, _separator(hints) or ("\t" if path.suffix.lower() == ".tsv" else None), whole=whole)
    first = next(_sample(head, dialect, whole=True), None)
    if first is None:
        raise check.DataError(check.sentence(shown(path), "a table with a line of column names", "an empty file"))
    if _is_header(first):
        return _named(first, path), True, dialect
    return tuple(f"column{place}" for place in range(1, len(first) + 1)), False, dialect


def _head(path: Path) -> tuple[str, bool]:
    """The beginning of a file, and whether that is all of it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.read(_LOOK)
            rest = file.readline(_LONGEST)  # the first line may be longer than that
    except UnicodeDecodeError as error:
        raise _not_text(path) from error
    except OSError as error:
        raise check.DataError(f"{shown(path)}: {closed(error)}") from error
    return head + rest, not rest


def _separator(hints: Hints) -> str | None:
    if hints.separator is None:
        return None
    found = _WORDS.get(hints.separator.lower(), hints.separator)
    if len(found) != 1 or found in '"\r\n':
        raise check.SettingError(check.sentence("separator", "one character, or tab", repr(hints.separator)))
    return found


def _dialect(head: str, separator: str | None, *, whole: bool) -> Dialect:
    """The separator that cuts the first lines into as many cells as the very first one has."""

    def share(one: str) -> float:
        widths = [len(row) for row in itertools.islice(_sample(head, Dialect(one), whole=whole), 50)]
        return widths.count(widths[0]) / len(widths) if widths and widths[0] > 1 else 0

    found = separator or max(_SEPARATORS, key=share)  # of equals the first
    first = head.lstrip("\r\n").partition("\n")[0]
    return Dialect(found, found != " " and 0 < first.count(found) == first.count(f"{found} "))


def _sample(head: str, dialect: Dialect, *, whole: bool) -> Iterator[list[str]]:
    """The rows at the beginning of a file; where it goes on, the last, which is cut, is left out."""
    rows = csv.reader(
        io.StringIO(head, newline=""),  # which ends lines as a file does
        delimiter=dialect.separator,
        skipinitialspace=dialect.spaced,
    )
    before: list[str] | None = None
    try:
        for row in rows:
            if before:
                yield before
            before = row
    except csv.Error:
        whole = True  # as far as it goes: what stands before the mistake was not cut
    if before and whole:
        yield before


def _is_header(first: Sequence[str]) -> bool:
    if any(is_plain_name(plain(cell)) for cell in first):
        return True
    numbers = all(as_number(cell) is not None for cell in first)
    return not numbers and not any(looks_like_image(cell) for cell in first)


def _named(first: Sequence[str], path: Path) -> tuple[str, ...]:
    names = [cell if cell.strip() else f"column{place + 1}" for place, cell in enumerate(first)]
    if not first[0].strip() and len(first) > 1:
        names[0] = UNNAMED
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise check.DataError(f"{shown(path)}:1: the column {twice[0]!r} stands twice; rename one of the two")
    return tuple(names)


def read_lines(path: Path, width: int, *, skip: bool, dialect: Dialect) -> Iterator[Line | Problem]:
    """The rows of a file, each by the line on which it begins.

    Args:
        path: of the file.
        width: the number of columns; a row of another is a Problem.
        skip: whether the first row is left out, for it is the header.
        dialect: how cells are separated.

    Raises:
        DataError: the file cannot be read, or is no text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = _rows(file, str(path), width, dialect)
            yield from itertools.islice(rows, int(skip), None)
    except UnicodeDecodeError as error:
        raise _not_text(path) from error
    except OSError as error:
        raise check.DataError(f"{shown(path)}: {closed(error)}") from error


def _rows(file: Iterable[str], name: str, width: int, dialect: Dialect) -> Iterator[Line | Problem]:
    reader = csv.reader(file, delimiter=dialect.separator, skipinitialspace=dialect.spaced)
    while True:
        source = f"{name}:{reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # such as a quote that does not close; the next line is a new beginning
            yield Problem(source, f"not a line of a table: {error}")
            continue
        if len(cells) == width:
            yield Line(source, cells)
        elif cells:  # there is none in an empty line
            open_quote = (
                ", in several lines: a quote that does not close?" if any("\n" in cell for cell in cells) else ""
            )
            yield Problem(source, f"expected {width} columns; got {len(cells)}{open_quote}")


def _not_text(path: Path) -> check.DataError:
    """What to raise for a file that is not in UTF-8; names the first line that is not."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                remedy = "Save it as UTF-8"
                return check.DataError(
                    check.sentence(f"{shown(path)}:{number}", "text in UTF-8", "other bytes", remedy)
                )
    return check.DataError(check.sentence(shown(path), "text in UTF-8", "other bytes"))
