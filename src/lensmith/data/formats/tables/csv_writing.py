"""Records → ``records.csv``, and the images beside it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lensmith import check
from lensmith.data.formats import writing
from lensmith.data.formats.numbers import as_number
from lensmith.data.formats.numbers import plain as plain_number
from lensmith.data.formats.tables.cells import looks_like_image
from lensmith.data.formats.tables.names import CORNERS, FACT, LABEL_NAMES, MARKS, is_plain_name, plain, typed
from lensmith.data.formats.walking import shown
from lensmith.records import Boxes, Record, Records

_JSON = "JSON can hold it"

Value = Callable[[Record], str]  # what stands in a column for a record
Writer = Any  # of the module csv, which gives it no name
Lines = Iterator[tuple[Record, list[str]]]  # each record, and its cells


def write(records: Records, folder: Path) -> None:
    """Write ``records.csv``, and the images beside it in ``images/``.

    A column is called as its task, and says its kind where a reader could not tell: ``quality:number``. Boxes are
    written as TensorFlow's object detection tables are, a line each; their outlines are left out.

    Raises:
        DataError: a record or a label that a table cannot hold; names it.
    """
    if not len(records):
        raise check.DataError(f"{shown(records.name)}: no record to write")
    rows = records[0].row is not None
    boxed = not rows and [labels.kind for labels in records.labels.values()] == ["boxes"]
    if not boxed:
        _check_kinds(records)
    extra = _extra_columns(records)
    if boxed:
        header, lines = _box_lines(records, folder)
    elif rows:
        header, lines = _row_lines(records)
    else:
        header, lines = _image_lines(records, folder)
    header += [name for name, _ in extra]
    _check_header(header, records)
    _put_lines(folder / "records.csv", header, lines, [value for _, value in extra])


def _check_kinds(records: Records) -> None:
    for task, labels in records.labels.items():
        if labels.kind not in ("class", "classes", "number"):
            expected, got = "labels that fit into a cell, or one task of boxes", f"the task {task!r} ({labels.kind})"
            raise check.DataError(check.sentence(shown(records.name), expected, got, _JSON))


def _check_header(header: Sequence[str], records: Records) -> None:
    for name, count in Counter(header).items():
        if count > 1 or not name.strip():
            raise check.DataError(f"{shown(records.name)}: {name!r} cannot be the name of one column. {_JSON}")


def _put_lines(path: Path, header: Sequence[str], lines: Lines, extra: Sequence[Value]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)  # lines end as RFC 4180 says, so that both halves of an end are put in quotes
        _put_line(writer, header, "the names of the columns")
        for record, cells in lines:
            _put_line(writer, [*cells, *(value(record) for value in extra)], shown(record.source))


def _put_line(writer: Writer, cells: Sequence[str], place: str) -> None:
    try:
        writer.writerow(cells)
    except UnicodeEncodeError as error:  # half of a pair, such as \ud800
        raise check.DataError(f"{place}: a text that is not UTF-8") from error


def _extra_columns(records: Records) -> list[tuple[str, Value]]:
    """Group, part and facts: those that any record has."""
    columns: list[tuple[str, Value]] = []
    if any(record.part for record in records):
        columns.append(("part", lambda record: record.part or ""))
    if any(record.group for record in records):
        columns.append(("group", lambda record: record.group or ""))
    facts = dict.fromkeys(name for record in records for name in record.facts)
    return columns + [(_fact_column(name, records), partial(_fact, name=name)) for name in facts]


def _fact(record: Record, name: str) -> str:
    return record.facts.get(name, "")


def _fact_column(name: str, records: Records) -> str:
    """The name itself, marked as a fact where a reader would take it for something else."""
    misleading = is_plain_name(plain(name)) or plain(name) in ("group", *CORNERS) or typed(name) or name.endswith(FACT)
    # Without a label one is looked for; beside a row of numbers, more numbers and images are.
    return f"{name}{FACT}" if misleading or not records.labels or records[0].row is not None else name


def _image_lines(records: Records, folder: Path) -> tuple[list[str], Lines]:
    header, cells = _label_columns(records)
    pictures = _pictures(records, folder)
    return ["image", *header], ((record, [next(pictures), *cells(record)]) for record in records)


def _row_lines(records: Records) -> tuple[list[str], Lines]:
    header, cells = _label_columns(records)
    width = len(records[0].row if records[0].row is not None else ())

    def numbers(record: Record) -> list[str]:
        if record.row is None or len(record.row) != width:
            got = "an image" if record.row is None else f"{len(record.row)}"
            raise check.DataError(
                check.sentence(shown(record.source), f"a row of {width} numbers, as the first has", got)
            )
        return [_short(number, record) for number in record.row]

    names = [f"column{place}" for place in range(1, width + 1)]
    return [*names, *header], ((record, [*numbers(record), *cells(record)]) for record in records)


def _box_lines(records: Records, folder: Path) -> tuple[list[str], Lines]:
    (task,) = records.labels
    names = records.labels[task].names
    for name in names:
        _check_name(name, task)
    marks = [mark for mark in MARKS if any(getattr(_boxes(record, task), mark).any() for record in records)]
    pictures = _pictures(records, folder)

    def lines() -> Lines:
        for record in records:
            height, width = record.size or writing.image_extent(record)
            found, start = _boxes(record, task), [next(pictures), str(width), str(height)]
            if not len(found):
                yield record, [*start, "", "", "", "", "", *("" for _ in marks)]
            for place, corners in enumerate(found.xyxy):
                said = [str(int(getattr(found, mark)[place])) for mark in marks]
                yield record, [*start, names[found.classes[place]], *(_short(one, record) for one in corners), *said]

    return ["filename", "width", "height", "class", *CORNERS, *marks], lines()


def _boxes(record: Record, task: str) -> Boxes:
    found: Boxes = writing.target_of(record, task)
    return found


def _pictures(records: Records, folder: Path) -> Iterator[str]:
    (folder / "images").mkdir()
    for record, name in zip(records, writing.unique_names(records), strict=True):
        yield f"images/{writing.put_image(record, folder / 'images' / name).name}"


def _label_columns(records: Records) -> tuple[list[str], Callable[[Record], list[str]]]:
    """The names of the label columns, and what stands in them for a record."""
    header = [column for task in records.labels for column in _label_header(task, records)]

    def cells(record: Record) -> list[str]:
        return [cell for task in records.labels for cell in _label_cells(record, task, records)]

    return header, cells


def _label_header(task: str, records: Records) -> list[str]:
    labels = records.labels[task]
    if labels.kind != "number":
        for name in labels.names:
            _check_name(name, task, several=labels.kind == "classes")
        if _speaks_for_itself(records, task):
            return [task]
        meant = {f"{task}:{labels.kind}": task}
    elif labels.names == (task,):
        meant = {f"{task}:number": task}
    else:
        meant = {f"{task}:number:{name}": name for name in labels.names}
    for column, name in meant.items():
        if typed(column) != (task, labels.kind, name):  # where there are colons in the names themselves
            raise check.DataError(f"{shown(records.name)}: the column {column!r} would be misread. {_JSON}")
    return list(meant)


def _speaks_for_itself(records: Records, task: str) -> bool:
    """Whether a reader finds the label column, and its kind, without being told."""
    labels = records.labels[task]
    known = len(records.labels) == 1 and plain(task) in LABEL_NAMES
    text = not any("|" in name or as_number(name) is not None or looks_like_image(name) for name in labels.names)
    return known and (labels.kind == "classes" or text)


def _label_cells(record: Record, task: str, records: Records) -> list[str]:
    labels = records.labels[task]
    target = writing.target_of(record, task, _JSON)
    if labels.kind == "number":
        return [_number(repr(float(number)), record) for number in target]
    if labels.kind == "class":
        return [labels.names[target]]
    names = [labels.names[index] for index in target]
    return ["|".join(names) if len(names) > 1 else "".join(names) + "|"]  # the sign says that there may be several


def _check_name(name: str, task: str, *, several: bool = False) -> None:
    if not name.strip() or (several and "|" in name):
        expected = "class names that are not empty" + (" and have no '|'" if several else "")
        raise check.DataError(check.sentence(f"labels of {task!r}", expected, repr(name), _JSON))


def _short(number: float, record: Record) -> str:
    return _number(str(plain_number(number)), record)


def _number(text: str, record: Record) -> str:
    """A number as it is written, if it is one that a reader takes: not NaN, not infinite, not too large."""
    if as_number(text) is None:
        raise check.DataError(check.sentence(shown(record.source), "finite numbers", text))
    return text
