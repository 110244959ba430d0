"""CSV tables: a line an example, with the path of an image, its pixels, or a row of numbers; or a line a box."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from lensmith import check
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.parts import part_in
from lensmith.data.formats.tables import csv_writing
from lensmith.data.formats.tables.columns import HEAD, MOST, image_column, names_images
from lensmith.data.formats.tables.csv_lines import look, read_lines
from lensmith.data.formats.tables.images import ImageFolders
from lensmith.data.formats.tables.names import MARKS, PART_WORDS
from lensmith.data.formats.tables.reading import read_tables
from lensmith.data.formats.tables.survey import survey
from lensmith.data.formats.tables.table import Table
from lensmith.data.formats.walking import folders, holds_image, loose_images, shown
from lensmith.records import Problem, Records

SUFFIXES = (".csv", ".tsv")
HOLDS = frozenset(MARKS)  # what is said of a box, beside its corners and class


def _recognise(path: Path) -> str | None:
    try:
        found = _tables_of(path) if path.is_dir() else [path] if path.suffix.lower() in SUFFIXES else []
        if not found or (path.is_dir() and not _goes_with_images(path, found)):
            return None
        names, *_ = look(found[0], Hints())
    except (OSError, check.LensmithError):
        return "a table" if path.is_file() else None
    listed = ", ".join(map(shown, names[:8])) + (", …" if len(names) > 8 else "")
    return f"{' and '.join(shown(one.name) for one in found)} with the columns {listed}"


def _read(path: Path, hints: Hints) -> Records:
    """Read one table, or the tables of a folder.

    The separator is found by looking. A first line of numbers only, or with the name of an image file, is no
    header; the columns are then ``column1``, ``column2``, … Relative paths start in the folder of the table, in its
    ``images/`` and in the folder of the table's name; or in ``hints.images``.

    Raises:
        DataError: no table, not UTF-8, or columns whose use is not clear; says which line or column.
        SettingError: a hint that does not fit.
    """
    if not path.is_dir():
        return read_tables([_table(path, hints)], hints, str(path))
    found = _tables_of(path)
    if not found:
        got = "several" if any(path.glob("*.csv")) else "none"
        remedy = "Name the one that is meant" if got == "several" else ""
        raise check.DataError(check.sentence(shown(path), "one CSV file, or train.csv and others", got, remedy))
    records = read_tables([_table(one, hints) for one in found], hints, str(path))
    others = [one for one in _csv_files(path) if one not in found]
    left = tuple(Problem(str(one), f"a table beside {shown(found[0].name)}; read it by its own name") for one in others)
    return replace(records, set_aside=(*records.set_aside, *left))


def _csv_files(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.suffix.lower() in SUFFIXES and one.name[0] != ".")


def _tables_of(folder: Path) -> list[Path]:
    """The only table of a folder, or those that are called by their part; a form for answers to a contest is none."""
    found = [one for one in _csv_files(folder) if "submission" not in one.stem.lower()]
    exact = [one for one in found if one.stem.lower() in PART_WORDS]
    parts = exact or [one for one in found if _part(one)]
    if exact or (len(parts) == len(found) > 1):
        return sorted(parts, key=lambda one: list(PART_WORDS).index(_part_word(one)))
    return found if len(found) == 1 else []


def tables_of_images(folder: Path) -> list[Path]:
    """The first tables of a folder that name images that are there."""
    found = [one for one in _csv_files(folder) if "submission" not in one.stem.lower()]
    return [one for one in found[:MOST] if _names_images(one)]


def _names_images(file: Path) -> bool:
    try:
        return names_images(_table(file, Hints()))
    except (OSError, check.LensmithError):
        return False


def _part_word(path: Path) -> str:
    """The word in a file's name that names a part: ``train`` in ``train_labels.csv``."""
    words = re.split(r"[\s_.-]+", path.stem.lower())
    return next((word for word in (words[0], words[-1]) if word in PART_WORDS), "")


def _part(path: Path) -> str | None:
    return PART_WORDS.get(_part_word(path))


def _goes_with_images(folder: Path, tables: Sequence[Path]) -> bool:
    """Whether a table is what a folder is about: there are no images, or it names them, and not a folder a class."""
    if not holds_image(folder):
        return True
    usual = {"images", *(table.stem.lower() for table in tables)}
    inner = folders(folder)
    if not loose_images(folder, []) and not any(one.name.lower() in usual for one in inner):
        classes = [one for one in inner if part_in(one.name) is None and holds_image(one)]
        if len(classes) > 1:
            return False
    table = _table(tables[0], Hints())
    head = replace(table, lines=lambda: islice(table.lines(), HEAD))
    return image_column(head, head.columns, survey([head])[0]) is not None


def _table(path: Path, hints: Hints) -> Table:
    names, has_header, dialect = look(path, hints)
    part = _part(path)
    images = ImageFolders([hints.images]) if hints.images else ImageFolders.beside(path, part)
    lines = partial(read_lines, path, len(names), skip=has_header, dialect=dialect)
    return Table(str(path), names, lines, images, part, has_header)


CSV = Format(
    name="csv",
    title="table",
    says="a CSV or TSV file with the paths of images, their pixels, rows of numbers, or boxes",
    recognise=_recognise,
    read=_read,
    write=csv_writing.write,
    heeds=frozenset(("image", "labels", "rows", "group", "images", "download", "hosts", "separator")),
    holds=HOLDS,
)
