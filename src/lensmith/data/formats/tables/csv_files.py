"""CSV tables: a line an example, with the path of an image, its pixels, or a row of numbers; or a line a box."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lensmith import check
from lensmith.data.formats import writing
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.tables.columns import (
    CORNERS,
    FACT,
    LABEL_NAMES,
    MARKS,
    PARTS,
    UNNAMED,
    Line,
    Table,
    as_number,
    is_plain_name,
    looks_like_image,
    plain,
    read_tables,
    shortest,
    typed,
)
from lensmith.data.formats.walking import shown
from lensmith.data.images import EXTENSIONS
from lensmith.records import Boxes, Problem, Record, Records

SUFFIXES = (".csv", ".tsv")
_SEPARATORS = (",", "\t", ";", "|")
_WORDS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}
HOLDS = frozenset(MARKS)  # what is said of a box, beside its corners and class
_LONGEST = 1 << 24
_LOOK = 1 << 16  # characters looked at to find the separator
_JSON = "JSON can hold it"


def _recognise(path: Path) -> str | None:
    try:
        found = _tables_of(path) if path.is_dir() else [path] if path.suffix.lower() in SUFFIXES else []
        if not found or (path.is_dir() and not _goes_with_images(path, found)):
            return None
        names, *_ = _look(found[0], Hints())
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
    """The only table of a folder, or those that are called by their part."""
    found = _csv_files(folder)
    exact = [one for one in found if one.stem.lower() in PARTS]
    parts = exact or [one for one in found if _part(one)]
    if exact or (len(parts) == len(found) > 1):
        return sorted(parts, key=lambda one: list(PARTS).index(_part_word(one)))
    return found if len(found) == 1 else []


def _part_word(path: Path) -> str:
    """The word in a file's name that names a part: ``train`` in ``train_labels.csv``."""
    words = re.split(r"[\s_.-]+", path.stem.lower())
    return next((word for word in (words[0], words[-1]) if word in PARTS), "")


def _part(path: Path) -> str | None:
    return PARTS.get(_part_word(path))


def _goes_with_images(folder: Path, tables: Sequence[Path]) -> bool:
    """Whether there are images beside, or where a table's images lie, or nothing else at all."""
    inner = [one for one in folder.iterdir() if one.name[0] != "." and one not in tables]
    if not any(one.is_dir() for one in inner):
        return True
    names = {"images", *(table.stem.lower() for table in tables)}
    return any(one.suffix.lower()[1:] in EXTENSIONS or (one.is_dir() and one.name.lower() in names) for one in inner)


def _table(path: Path, hints: Hints) -> Table:
    names, has_header, dialect = _look(path, hints)
    folders = (hints.images,) if hints.images else (path.parent, path.parent / "images", path.parent / path.stem)
    lines = partial(_lines, path, len(names), skip=has_header, dialect=dialect)
    return Table(str(path), names, lines, tuple(one for one in folders if one), _part(path), has_header)


Dialect = tuple[str, bool]  # the separator, and whether a space follows it


def _look(path: Path, hints: Hints) -> tuple[tuple[str, ...], bool, Dialect]:
    """The names of a table's columns, whether they stand in its first line, and how cells are separated."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.read(_LOOK)
            head += file.readline(_LONGEST)  # the first line may be longer than that
    except UnicodeDecodeError as error:
        raise _not_text(path) from error
    except OSError as error:
        raise check.DataError(f"{shown(path)}: cannot be opened: {(error.strerror or str(error)).lower()}") from error
    whole = len(head) <= _LOOK
    dialect = _dialect(head, _separator(hints) or ("\t" if path.suffix.lower() == ".tsv" else None), whole=whole)
    first = next(_sample(head, dialect, whole=True), None)
    if first is None:
        raise check.DataError(check.sentence(shown(path), "a table with a line of column names", "an empty file"))
    if _is_header(first):
        return _named(first, path), True, dialect
    return tuple(f"column{place}" for place in range(1, len(first) + 1)), False, dialect


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
        widths = [len(row) for row in itertools.islice(_sample(head, (one, False), whole=whole), 50)]
        return widths.count(widths[0]) / len(widths) if widths and widths[0] > 1 else 0

    found = separator or max(_SEPARATORS, key=share)  # of equals the first
    first = head.lstrip("\r\n").partition("\n")[0]
    return found, found in first and first.count(found) == first.count(f"{found} ")


def _sample(head: str, dialect: Dialect, *, whole: bool) -> Iterator[list[str]]:
    """The rows at the beginning of a file; where it goes on, the last, which is cut, is left out."""
    rows = _reader(iter(head.splitlines(keepends=True)), dialect)
    before: list[str] | None = None
    try:
        for row in rows:
            if before:
                yield before
            before = row
    except csv.Error:
        return
    if before and whole:
        yield before


def _reader(lines: Iterator[str], dialect: Dialect) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=dialect[0], skipinitialspace=dialect[1] and dialect[0] != " ")


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


def _lines(path: Path, width: int, *, skip: bool, dialect: Dialect) -> Iterator[Line | Problem]:
    """The rows of a file, each by the line on which it begins."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _rows(file, str(path), width, skip=skip, dialect=dialect)
    except UnicodeDecodeError as error:
        raise _not_text(path) from error
    except OSError as error:
        raise check.DataError(f"{shown(path)}: cannot be read: {(error.strerror or str(error)).lower()}") from error


def _rows(file: Iterator[str], name: str, width: int, *, skip: bool, dialect: Dialect) -> Iterator[Line | Problem]:
    reader = csv.reader(file, delimiter=dialect[0], skipinitialspace=dialect[1] and dialect[0] != " ")
    while True:
        source = f"{name}:{reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # such as a quote that does not close; the next line is a new beginning
            yield Problem(source, f"not a line of a table: {error}")
            continue
        if not cells:
            continue
        if skip:
            skip = False
        elif len(cells) == width:
            yield Line(source, cells)
        else:
            yield Problem(source, f"expected {width} columns; got {len(cells)}")


def _not_text(path: Path) -> check.DataError:
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


def _write(records: Records, folder: Path) -> None:
    """Write ``records.csv``, and the images beside it in ``images/``.

    A column is called as its task, and says its kind where a reader could not tell: ``quality:number``. Boxes are
    written as TensorFlow's object detection tables are, a line each; their outlines are left out.

    Raises:
        DataError: a record or a label that a table cannot hold; names it.
    """
    if not len(records):
        raise check.DataError(f"{shown(records.name)}: no record to write")
    kinds = {labels.kind for labels in records.labels.values()}
    rows = records[0].row is not None
    alone = kinds == {"boxes"} and len(records.labels) == 1 and not rows
    if not alone and kinds - {"class", "classes", "number"}:
        wrong = next(
            task for task, labels in records.labels.items() if labels.kind not in ("class", "classes", "number")
        )
        got = f"the task {wrong!r} ({records.labels[wrong].kind})"
        raise check.DataError(
            check.sentence(shown(records.name), "labels that fit into a cell, or one task of boxes", got, _JSON)
        )
    extra = _extra_columns(records)
    header, lines = (_box_lines if alone else _row_lines if rows else _image_lines)(records, folder)
    _check_header([*header, *(name for name, _ in extra)], records)
    with (folder / "records.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)  # lines end as RFC 4180 says, so that both halves of an end are put in quotes
        writer.writerow([*header, *(name for name, _ in extra)])
        for record, cells in lines:
            try:
                writer.writerow([*cells, *(value(record) for _, value in extra)])
            except UnicodeEncodeError as error:
                raise check.DataError(f"{shown(record.source)}: a text that is not UTF-8") from error


def _check_header(header: Sequence[str], records: Records) -> None:
    for name, count in Counter(header).items():
        if count > 1 or not name.strip():
            raise check.DataError(f"{shown(records.name)}: {name!r} cannot be the name of one column. {_JSON}")


def _extra_columns(records: Records) -> list[tuple[str, Callable[[Record], str]]]:
    """Group, part and facts: those that any record has."""
    columns: list[tuple[str, Callable[[Record], str]]] = []
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
    misleading = is_plain_name(plain(name)) or plain(name) == "group" or typed(name) or name.endswith(FACT)
    return f"{name}{FACT}" if misleading or not records.labels else name


Lines = tuple[list[str], Iterator[tuple[Record, list[str]]]]


def _image_lines(records: Records, folder: Path) -> Lines:
    header, cells = _label_columns(records)
    pictures = _pictures(records, folder)
    return ["image", *header], ((record, [next(pictures), *cells(record)]) for record in records)


def _row_lines(records: Records, folder: Path) -> Lines:
    header, cells = _label_columns(records)
    width = len(records[0].row if records[0].row is not None else ())

    def numbers(record: Record) -> list[str]:
        if record.row is None or len(record.row) != width:
            got = "an image" if record.row is None else f"{len(record.row)}"
            raise check.DataError(
                check.sentence(shown(record.source), f"a row of {width} numbers, as the first has", got)
            )
        return [_short(number) for number in record.row]

    names = [f"column{place}" for place in range(1, width + 1)]
    return [*names, *header], ((record, [*numbers(record), *cells(record)]) for record in records)


def _box_lines(records: Records, folder: Path) -> Lines:
    (task,) = records.labels
    names = [_name(name, task) for name in records.labels[task].names]
    marks = [mark for mark in MARKS if any(getattr(_boxes(record, task), mark).any() for record in records)]
    pictures = _pictures(records, folder)

    def lines() -> Iterator[tuple[Record, list[str]]]:
        for record in records:
            height, width = record.size or writing.image_extent(record)
            found, start = _boxes(record, task), [next(pictures), str(width), str(height)]
            if not len(found):
                yield record, [*start, "", "", "", "", "", *("" for _ in marks)]
            for place, corners in enumerate(found.xyxy):
                said = [str(int(getattr(found, mark)[place])) for mark in marks]
                yield record, [*start, names[found.classes[place]], *map(_short, corners), *said]

    return ["filename", "width", "height", "class", *CORNERS, *marks], lines()


def _boxes(record: Record, task: str) -> Boxes:
    found = record.targets.get(task)
    if not isinstance(found, Boxes):
        raise check.DataError(f"{shown(record.source)}: has no target for the task {task!r}")
    return found


def _pictures(records: Records, folder: Path) -> Iterator[str]:
    (folder / "images").mkdir()
    for record, name in zip(records, writing.unique_names(records), strict=True):
        yield f"images/{writing.put_image(record, folder / 'images' / name).name}"


def _label_columns(records: Records) -> tuple[list[str], Callable[[Record], list[str]]]:
    """The names of the label columns, and what stands in them for a record."""
    header = []
    for task, labels in records.labels.items():
        if labels.kind != "number":
            header.append(task if _speaks_for_itself(records, task) else f"{task}:{labels.kind}")
            for name in labels.names:
                _name(name, task, several=labels.kind == "classes")
        elif labels.names == (task,):
            header.append(f"{task}:number")
        else:
            header += [f"{task}:number:{name}" for name in labels.names]

    def cells(record: Record) -> list[str]:
        return [cell for task in records.labels for cell in _label_cells(record, task, records)]

    return header, cells


def _speaks_for_itself(records: Records, task: str) -> bool:
    """Whether a reader finds the label column, and its kind, without being told."""
    labels = records.labels[task]
    known = len(records.labels) == 1 and plain(task) in LABEL_NAMES
    text = not any("|" in name or as_number(name) is not None or looks_like_image(name) for name in labels.names)
    return known and (labels.kind == "classes" or text)


def _label_cells(record: Record, task: str, records: Records) -> list[str]:
    labels = records.labels[task]
    target = record.targets.get(task)
    if target is None:
        raise check.DataError(f"{shown(record.source)}: has no target for the task {task!r}. {_JSON}")
    if labels.kind == "number":
        return [repr(float(number)) for number in target]  # type: ignore[union-attr]
    if labels.kind == "class":
        return [labels.names[target]]  # type: ignore[index]
    names = [labels.names[index] for index in target]  # type: ignore[union-attr, index]
    return ["|".join(names) if len(names) > 1 else "".join(names) + "|"]  # the sign says that there may be several


def _name(name: str, task: str, *, several: bool = False) -> str:
    if not name.strip() or (several and "|" in name):
        expected = "class names that are not empty" + (" and have no '|'" if several else "")
        raise check.DataError(check.sentence(f"labels of {task!r}", expected, repr(name), _JSON))
    return name


def _short(number: float) -> str:
    return repr(shortest(number)).removesuffix(".0")


CSV = Format(
    name="csv",
    says="a table (CSV, TSV) with the paths of images, their pixels, rows of numbers, or boxes",
    recognise=_recognise,
    read=_read,
    write=_write,
)
