"""JSON: a list of objects, whose keys are as the columns of a table; or the form of our own."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from lensmith import check
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.tables import own_writing
from lensmith.data.formats.tables.cells import Cell
from lensmith.data.formats.tables.columns import MOST, names_images
from lensmith.data.formats.tables.images import ImageFolders
from lensmith.data.formats.tables.json_text import numbers_in, parse
from lensmith.data.formats.tables.names import MARKS
from lensmith.data.formats.tables.own_reading import FILE, read_own
from lensmith.data.formats.tables.reading import read_tables
from lensmith.data.formats.tables.table import Line, Table
from lensmith.data.formats.text import read_text
from lensmith.data.formats.walking import closed, shown
from lensmith.records import Problem, Records

SUFFIXES = (".json", ".jsonl", ".ndjson")
_LINES = (".jsonl", ".ndjson")
_COCO = ("images", "annotations", "categories", "info", "licenses")
HOLDS = frozenset((*MARKS, "polygons"))  # what is said of a box, beside its corners and class
_LIST = "a list of objects, an object a line, or a file that Lensmith wrote"
_HEAD = 4096  # characters looked at to recognise a file


def _recognise(path: Path) -> str | None:
    try:
        file = _file_of(path) if path.is_dir() else path
        if file is None or file.suffix.lower() not in SUFFIXES:
            return None
        with file.open(encoding="utf-8-sig", errors="replace") as opened:
            head = opened.read(_HEAD).lstrip()
    except (OSError, check.LensmithError):
        return None
    if re.match(r'\{\s*"lensmith"\s*:', head):
        return f"{shown(file.name)}, written by Lensmith"
    if _is_coco_result(head):
        return None
    lined = file.suffix.lower() in _LINES or re.match(r"\{.*\}\s*\n\s*\{", head)
    if head.startswith("{") if lined else re.match(r"\[\s*[\]{]", head):
        return f"{shown(file.name)}, a list of objects"
    key = re.match(r'\{\s*"([^"]*)"', head)
    other = key is not None and key[1] in _COCO
    return None if path.is_dir() or other else f"{shown(file.name)}, in JSON"


def _is_coco_result(head: str) -> bool:
    """Whether these are the detections of a model: they name images by a number, and hold none."""
    return '"image_id"' in head and ('"bbox"' in head or '"segmentation"' in head)


def _file_of(folder: Path) -> Path | None:
    """The file of our own form, or the only file of JSON."""
    if (folder / FILE).is_file():
        return folder / FILE
    found = [one for one in folder.iterdir() if one.suffix.lower() in SUFFIXES and one.name[0] != "."]
    return found[0] if len(found) == 1 else None


def tables_of_images(folder: Path) -> list[Path]:
    """The first files of a folder that are lists of objects and name images that are there."""
    found = sorted(one for one in folder.iterdir() if one.suffix.lower() in SUFFIXES and one.name[0] != ".")
    return [one for one in found[:MOST] if _names_images(one)]


def _names_images(file: Path) -> bool:
    try:
        if _recognise(file) is None:
            return False
        content = None if file.suffix.lower() in _LINES else _content(file)
        return not isinstance(content, dict) and names_images(_table(file, content, ImageFolders.beside(file)))
    except (OSError, check.LensmithError):
        return False


def _read(path: Path, hints: Hints) -> Records:
    """Read a list of objects (or an object a line), or the form of our own.

    Raises:
        DataError: the file is no such list, or what its keys are for is not clear.
        SettingError: a key that the hints name is not there.
    """
    file = _file_of(path) if path.is_dir() else path
    if file is None:
        raise check.DataError(check.sentence(shown(path), f"one JSON file, or {FILE}", "none, or several"))
    images = ImageFolders([hints.images]) if hints.images else ImageFolders.beside(file)
    content = None if file.suffix.lower() in _LINES else _content(file)
    if isinstance(content, dict) and "lensmith" in content:
        return read_own(content, file, images, str(path), hints.labels)
    return read_tables([_table(file, content, images)], hints, str(path))


def _table(file: Path, content: object | None, images: ImageFolders) -> Table:
    objects = _objects(content, file)
    columns = tuple(dict.fromkeys(key for _, one in objects() if isinstance(one, dict) for key in one))
    if not columns:
        raise check.DataError(check.sentence(shown(file), _LIST, "no object that has a key"))
    return Table(str(file), columns, partial(_rows, objects, columns), images)


def _content(file: Path) -> object | None:
    """What a file holds; None where it is an object a line."""
    text = read_text(file, largest=None)
    try:
        return parse(text, shown(file))
    except check.DataError as error:
        # So the reader of JSON says that a whole value ended, and something follows.
        first = text.lstrip().partition("\n")[0]
        if "Extra data" in str(error) and first.startswith("{") and first.rstrip().endswith("}"):
            return None
        raise


Objects = Iterator[tuple[str, object]]  # where each stands, and the object; or why there is none, as a Problem


def _objects(content: object | None, file: Path) -> Callable[[], Objects]:
    """The objects of a file, to be gone through several times.

    Raises:
        DataError: the content is no list.
    """
    if content is None:
        return partial(_lines, file)
    if isinstance(content, list):
        return partial(_entries, content, str(file))
    got = type(content).__name__
    if isinstance(content, dict):
        got = f"an object with the keys {', '.join(map(repr, list(content)[:8])) or '(none)'}"
    raise check.DataError(check.sentence(shown(file), _LIST, got))


def _entries(content: Sequence[object], name: str) -> Objects:
    for index, one in enumerate(content):
        yield f"{name}[{index}]", one


def _lines(file: Path) -> Objects:
    try:
        with file.open("rb") as opened:
            for number, line in enumerate(opened, 1):
                text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if text.strip():
                    yield f"{file}:{number}", _line(text, f"{file}:{number}")
    except OSError as error:
        raise check.DataError(f"{shown(file)}: {closed(error)}") from error


def _line(line: bytes, source: str) -> object:
    """What a line says; one that is no JSON as the Problem that it is."""
    try:
        return parse(line.decode(), source)
    except UnicodeDecodeError:
        return Problem(source, "not UTF-8")
    except check.DataError as error:
        return Problem(source, re.sub(rf"^{re.escape(source)}(:\d+)?: ", "", str(error)))


def _rows(objects: Callable[[], Objects], columns: Sequence[str]) -> Iterator[Line | Problem]:
    for source, one in objects():
        if isinstance(one, Problem):
            yield one
        elif isinstance(one, dict):
            try:
                yield Line(source, [_cell(one.get(column), column) for column in columns])
            except check.DataError as error:
                yield Problem(source, str(error))
        else:
            yield Problem(source, check.sentence("the entry", "an object", type(one).__name__))


def _cell(value: object, key: str) -> Cell:
    """A value as a table has it: text, several labels, or numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _sound(value, key)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(_sound(one, key) for one in value)
    if isinstance(value, list):
        return numbers_in(value, f"key {key!r}")
    raise check.DataError(check.sentence(f"key {key!r}", "a text, a number or a list", "an object inside an object"))


def _sound(text: str, key: str) -> str:
    r"""The text itself, unless it holds half of a pair (``\ud800``), which no file or screen takes."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise check.DataError(check.sentence(f"key {key!r}", "text in Unicode", ascii(text)[:80])) from error
    return text


JSON = Format(
    name="json",
    title="JSON rows",
    says="a list of objects, or an object a line, with the paths of images, their pixels or numbers",
    recognise=_recognise,
    read=_read,
    write=own_writing.write,
    heeds=frozenset(("image", "labels", "rows", "group", "images", "download", "hosts")),
    holds=HOLDS,
)
