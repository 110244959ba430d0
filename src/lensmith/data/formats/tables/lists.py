"""JSON: a list of objects, whose keys are as the columns of a table; and a form of our own that holds everything.

The form of our own is ``records.json``, with the image files in ``images/`` and masks as PNG files beside it::

    {"lensmith": 1,
     "labels": {"species": {"kind": "class", "names": ["cat", "dog"]}},
     "examples": [
      {"image": "images/1.png", "targets": {"species": "dog"}, "group": "litter 3", "part": "train",
       "size": [480, 640], "facts": {"camera": "old"}}]}

Instead of ``image`` there may be ``row``, a list of numbers. All but one of these two may be left out. A target is:

========  ==================================================================================================
class     the name
classes   a list of names
number    a list of numbers, one a name
points    a list of ``[x, y]`` in pixels, one a name; ``null`` for a number that is not known
boxes     ``{"xyxy": [[x1, y1, x2, y2], …], "classes": [name, …]}``, and where they are known ``polygons`` (for each
          box a list of rings of ``[x, y]``), ``crowd``, ``difficult``, ``truncated`` (for each box true or false)
mask      the path of a PNG whose values are places in the names
========  ==================================================================================================
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lensmith import check
from lensmith.data.formats import writing
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.tables.columns import TOO_LARGE, Cell, Line, Table, find_image, read_tables, shortest
from lensmith.data.formats.walking import shown
from lensmith.records import PARTS, Boxes, Labels, Problem, Record, Records, Target

SUFFIXES = (".json", ".jsonl", ".ndjson")
_LINES = (".jsonl", ".ndjson")
_OWN = "records.json"
_COCO = ("images", "annotations", "categories", "info", "licenses")
_MARKS = ("crowd", "difficult", "truncated")
HOLDS = frozenset((*_MARKS, "polygons"))  # what is said of a box, beside its corners and class
_LIST = "a list of objects, an object a line, or a file that Lensmith wrote"
_HEAD = 4096


def _recognise(path: Path) -> str | None:
    try:
        file = _file_of(path) if path.is_dir() else path
        if file is None or file.suffix.lower() not in SUFFIXES:
            return None
        with file.open(encoding="utf-8-sig", errors="replace") as opened:
            head = opened.read(_HEAD).lstrip()
    except (OSError, check.LensmithError):
        return None
    own = re.match(r'\{\s*"lensmith"\s*:', head)
    lined = file.suffix.lower() in _LINES or re.match(r"\{.*\}\s*\n\s*\{", head)
    listed = head.startswith("{") if lined else re.match(r"\[\s*[\]{]", head)
    if own or (listed and not _is_coco_result(head)):
        return f"{shown(file.name)}, {'written by Lensmith' if own else 'a list of objects'}"
    key = re.match(r'\{\s*"([^"]*)"', head)
    other = key is not None and key[1] in _COCO
    return None if path.is_dir() or other or _is_coco_result(head) else f"{shown(file.name)}, in JSON"


def _is_coco_result(head: str) -> bool:
    """Whether these are the detections of a model: they name images by a number, and hold none."""
    return '"image_id"' in head and ('"bbox"' in head or '"segmentation"' in head)


def _file_of(folder: Path) -> Path | None:
    if (folder / _OWN).is_file():
        return folder / _OWN
    found = [one for one in folder.iterdir() if one.suffix.lower() in SUFFIXES and one.name[0] != "."]
    return found[0] if len(found) == 1 else None


def _read(path: Path, hints: Hints) -> Records:
    """Read a list of objects (or an object a line), or the form of our own.

    Raises:
        DataError: the file is no such list, or what its keys are for is not clear.
        SettingError: a key that the hints name is not there.
    """
    file = path
    if path.is_dir():
        found = _file_of(path)
        if found is None:
            raise check.DataError(check.sentence(shown(path), f"one JSON file, or {_OWN}", "none, or several"))
        file = found
    folders = (hints.images,) if hints.images else (file.parent, file.parent / "images", file.parent / file.stem)
    content = None if file.suffix.lower() in _LINES else _content(file)
    if isinstance(content, dict):
        if "lensmith" not in content:
            keys = ", ".join(repr(key) for key in list(content)[:8])
            raise check.DataError(check.sentence(shown(file), _LIST, f"an object with the keys {keys or '(none)'}"))
        return _read_own(content, file, (*folders, file.parent), str(path))
    if content is not None and not isinstance(content, list):
        raise check.DataError(check.sentence(shown(file), _LIST, type(content).__name__))
    objects = partial(_lines, file) if content is None else partial(_entries, content, str(file))
    columns = dict.fromkeys(key for _, one in objects() if isinstance(one, dict) for key in one)
    if not columns:
        raise check.DataError(check.sentence(shown(file), _LIST, "no object that has a key"))
    lines = partial(_rows, objects, tuple(columns))
    return read_tables([Table(str(file), tuple(columns), lines, folders)], hints, str(path))


def _content(file: Path) -> object | None:
    """What a file holds; None where it is an object a line."""
    text = _text(file)
    try:
        return parse(text, shown(file))
    except check.DataError as error:
        first = text.lstrip().partition("\n")[0]
        if "Extra data" in str(error) and first.startswith("{") and first.rstrip().endswith("}"):
            return None
        raise


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = bytes(error.object[: error.start]).count(b"\n") + 1
        raise check.DataError(check.sentence(f"{shown(file)}:{line}", "text in UTF-8", "other bytes")) from error
    except OSError as error:
        raise check.DataError(f"{shown(file)}: cannot be opened: {(error.strerror or str(error)).lower()}") from error


def parse(text: str, place: str) -> object:
    """Read JSON strictly: no key twice in an object, no NaN.

    Raises:
        DataError: names the place and the line.

    Example:
        >>> parse('{"a": 1, "a": 2}', "cats.json")
        Traceback (most recent call last):
            ...
        lensmith.check.DataError: cats.json: the key 'a' stands twice in one object
    """

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise check.DataError(f"{place}: the key {twice!r} stands twice in one object")
        return found

    def refuse(word: str) -> object:
        raise check.DataError(check.sentence(place, "numbers as JSON has them", word))

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=refuse)
    except check.DataError:
        raise
    except json.JSONDecodeError as error:
        raise check.DataError(f"{place}:{error.lineno}: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; lists in lists without end
        raise check.DataError(f"{place}: not JSON that can be read: {' '.join(str(error).split())}") from error


Objects = Iterator[tuple[str, object]]


def _entries(content: Sequence[object], name: str) -> Objects:
    for index, one in enumerate(content):
        yield f"{name}[{index}]", one


def _lines(file: Path) -> Objects:
    """Each line by its number; one that is no JSON as the Problem that it is."""
    try:
        with file.open("rb") as opened:
            for number, line in enumerate(opened, 1):
                source = f"{file}:{number}"
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                    if text.strip():
                        yield source, parse(text, source)
                except (check.DataError, UnicodeDecodeError) as error:
                    reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
                    yield source, Problem(source, re.sub(rf"^{re.escape(source)}(:\d+)?: ", "", reason))
    except OSError as error:
        raise check.DataError(f"{shown(file)}: cannot be opened: {(error.strerror or str(error)).lower()}") from error


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
        return _numbers(value, f"key {key!r}")
    raise check.DataError(check.sentence(f"key {key!r}", "a text, a number or a list", "an object inside an object"))


def _sound(text: str, key: str) -> str:
    r"""The text itself, unless it holds half of a pair (``\ud800``), which no file or screen takes."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise check.DataError(check.sentence(f"key {key!r}", "text in Unicode", ascii(text)[:80])) from error
    return text


def _numbers(values: object, place: str) -> np.ndarray:
    try:
        array = np.array(values)
    except ValueError as error:
        raise check.DataError(check.sentence(place, "lists of the same length", "lists of several")) from error
    if array.dtype.kind not in "iuf" and array.size:
        raise check.DataError(check.sentence(place, "a list of numbers, or of texts", "a list of something else"))
    if not np.isfinite(array.astype(np.float64)).all():
        raise check.DataError(check.sentence(place, "finite numbers", "one that is too large"))
    return array


def _read_own(content: Mapping[str, Any], file: Path, folders: Sequence[Path], name: str) -> Records:
    if content["lensmith"] != 1:
        remedy = "A newer Lensmith may have written it"
        raise check.DataError(check.sentence(f"{shown(file)}: lensmith", "1", repr(content["lensmith"]), remedy))
    given, examples = content.get("labels"), content.get("examples")
    if not isinstance(given, dict) or not isinstance(examples, list):
        raise check.DataError(check.sentence(shown(file), "'labels', an object, and 'examples', a list", "others"))
    labels = {task: _labels(one, f"{shown(file)}: labels of {task!r}") for task, one in given.items()}
    items, problems = [], []
    for index, example in enumerate(examples):
        source = f"{file}[{index}]"
        try:
            items.append(_record(_object(example, "the example"), source, labels, folders))
        except check.LensmithError as error:
            problems.append(Problem(source, str(error).removeprefix(f"{source}: ")))
    if not items:
        got = f"none; the first, {shown(problems[0].source)}: {problems[0].reason}" if problems else "none"
        raise check.DataError(check.sentence(shown(file), "at least one example that can be used", got))
    return Records(tuple(items), labels, name, tuple(problems), "JSON written by Lensmith")


def _labels(given: object, place: str) -> Labels:
    values = _object(given, place)
    names = values.get("names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise check.DataError(check.sentence(place, "names, a list of texts", repr(names)[:80]))
    try:
        return Labels.from_dict({"kind": values.get("kind"), "names": names})
    except check.LensmithError as error:
        raise check.DataError(f"{place}: {error}") from error


def _record(example: Mapping[str, Any], source: str, labels: Mapping[str, Labels], folders: Sequence[Path]) -> Record:
    targets = {}
    for task, value in _object(example.get("targets", {}), "targets").items():
        check.one_of("task", task, labels)
        targets[task] = _target(value, f"target of {task!r}", labels[task], folders)
    facts = _object(example.get("facts", {}), "facts")
    group, part, size = (example.get(key) for key in ("group", "part", "size"))
    if part is not None:
        check.one_of("part", part, PARTS)
    texts = [*facts.values(), *([group] if group is not None else [])]
    if not all(isinstance(text, str) for text in texts):
        raise check.DataError(check.sentence("group and facts", "texts", repr(texts)[:80]))
    row, image = example.get("row"), example.get("image")
    return Record(
        source,
        None if image is None else _path(image, "image", folders),
        None if row is None else _array(row, "row", 1),
        targets,
        group,
        part,
        None if size is None else _extent(size),
        facts,
    )


def _extent(size: object) -> tuple[int, int]:
    if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        raise check.DataError(check.sentence("size", "[height, width] in pixels", repr(size)[:80]))
    return size[0], size[1]


def _target(value: Any, place: str, labels: Labels, folders: Sequence[Path]) -> Target:
    """What is written of a target → the target."""
    if labels.kind == "class":
        return _index(value, place, labels)
    if labels.kind == "classes":
        return tuple(_index(one, place, labels) for one in _listed(value, place))
    if labels.kind == "number":
        return tuple(float(one) for one in _sized(_array(value, place, 1, np.float64), place, labels))
    if labels.kind == "points":
        return _sized(_points(value, place), place, labels)
    if labels.kind == "mask":
        return _path(value, place, folders)
    return _boxes(_object(value, place), place, labels)


def _boxes(value: Mapping[str, Any], place: str, labels: Labels) -> Boxes:
    classes = [_index(one, place, labels) for one in _listed(value.get("classes"), place)]
    rings = tuple(
        tuple(_array(ring, f"{place}: polygons", 2) for ring in _listed(one, place))
        for one in _listed(value.get("polygons", []), place)
    )
    marks = [_listed(value.get(mark, []), place) for mark in _MARKS]
    if not all(isinstance(one, bool) for mark in marks for one in mark):
        raise check.DataError(check.sentence(place, f"true or false for {', '.join(_MARKS)}", "something else"))
    corners = _array(value.get("xyxy"), place, 2)
    corners = corners if len(corners) else np.zeros((0, 4), np.float32)
    crowd, difficult, truncated = (np.array(mark, bool) for mark in marks)
    return Boxes(corners, np.array(classes, np.int64), rings, crowd, difficult, truncated)


def _index(value: object, place: str, labels: Labels) -> int:
    return labels.names.index(check.one_of(place, str(value), labels.names))


def _points(value: object, place: str) -> np.ndarray:
    known = [[0 if one is None else one for one in _listed(point, place)] for point in _listed(value, place)]
    points = _array(known, place, 2)
    if points.shape[1:] != (2,):
        raise check.DataError(check.sentence(place, "a list of [x, y]", f"shape {points.shape}"))
    gaps = np.array([[one is None for one in point] for point in _listed(value, place)], bool).reshape(-1, 2)
    return np.where(gaps, np.float32(np.nan), points)


def _array(value: object, place: str, axes: int, dtype: type[np.floating] = np.float32) -> np.ndarray:
    array = _numbers(_listed(value, place), place)
    if array.shape == (0,) and axes == 2:
        array = array.reshape(0, 2)
    if array.ndim != axes:
        expected = "a list of numbers" if axes == 1 else "a list of lists of numbers"
        raise check.DataError(check.sentence(place, expected, f"shape {array.shape}"))
    if dtype == np.float32 and (np.abs(array.astype(np.float64)) >= TOO_LARGE).any():
        raise check.DataError(check.sentence(place, "numbers that float32 holds", "a larger one"))
    return array.astype(dtype)


def _sized(array: np.ndarray, place: str, labels: Labels) -> np.ndarray:
    if len(array) != len(labels.names):
        raise check.DataError(check.sentence(place, f"{len(labels.names)}, one a name", len(array)))
    return array


def _path(value: object, place: str, folders: Sequence[Path]) -> Path:
    if not isinstance(value, str):
        raise check.DataError(check.sentence(place, "the path of a file", type(value).__name__))
    return find_image(value, folders)


def _listed(value: object, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise check.DataError(check.sentence(place, "a list", type(value).__name__))
    return value


def _object(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise check.DataError(check.sentence(place, "an object", type(value).__name__))
    return value


def _write(records: Records, folder: Path) -> None:
    """Write the form of our own: ``records.json``, ``images/``, and a folder for the masks of each task.

    Raises:
        DataError: a record whose files cannot be read, or with numbers that JSON does not have; names it.
    """
    if not len(records):
        raise check.DataError(f"{shown(records.name)}: no record to write")
    names = writing.unique_names(records)
    masks = [task for task, labels in records.labels.items() if labels.kind == "mask"]
    # Not in a folder called masks: images and masks side by side are a format of their own, with one task only.
    places = {task: f"targets-{number}" for number, task in enumerate(masks, 1)}
    for one in ("images", *places.values()):
        (folder / one).mkdir()
    labels = {task: one.to_dict() for task, one in records.labels.items()}
    with (folder / _OWN).open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{{"lensmith": 1,\n "labels": {json.dumps(labels, ensure_ascii=False)},\n "examples": [\n  ')
        for place, (record, name) in enumerate(zip(records, names, strict=True)):
            example = _example(record, name, records.labels, places, folder)
            try:
                text = json.dumps(example, ensure_ascii=False, allow_nan=False)
                file.write(f"{',' if place else ''}{chr(10) + '  ' if place else ''}{text}")
            except UnicodeEncodeError as error:
                raise check.DataError(f"{shown(record.source)}: a text that is not Unicode") from error
            except ValueError as error:
                raise check.DataError(
                    check.sentence(shown(record.source), "finite numbers", "infinite ones")
                ) from error
        file.write("]}\n")


def _example(
    record: Record, name: str, labels: Mapping[str, Labels], places: Mapping[str, str], folder: Path
) -> dict[str, Any]:
    example: dict[str, Any] = {}
    if record.row is not None:
        example["row"] = _short(record.row)
    else:
        example["image"] = f"images/{writing.put_image(record, folder / 'images' / name).name}"
    targets = dict[str, Any]()
    for task, target in record.targets.items():
        if labels[task].kind == "mask":
            targets[task] = f"{places[task]}/{name}.png"
            _put_mask(target, folder / places[task] / f"{name}.png", f"{shown(record.source)}: {task}")
        else:
            targets[task] = _plain(target, labels[task])
    others = {"targets": targets, "group": record.group, "part": record.part, "facts": dict(record.facts)}
    example |= {key: value for key, value in others.items() if value not in (None, {})}
    return example | ({"size": list(record.size)} if record.size else {})


def _plain(target: Any, labels: Labels) -> Any:
    """A target → what is written of it."""
    if labels.kind == "class":
        return labels.names[target]
    if labels.kind == "classes":
        return [labels.names[index] for index in target]
    if labels.kind == "number":
        return [float(number) for number in target]
    if labels.kind == "points":
        return _short(np.asarray(target, np.float32))
    found: dict[str, Any] = {"xyxy": _short(target.xyxy), "classes": [labels.names[index] for index in target.classes]}
    if any(target.polygons):
        found["polygons"] = [[_short(ring) for ring in one] for one in target.polygons]
    return found | {mark: getattr(target, mark).tolist() for mark in _MARKS if getattr(target, mark).any()}


def _short(values: np.ndarray) -> list[Any]:
    """float32 numbers as lists of the shortest numbers that are read as just these; None for one that is not known."""
    if values.ndim > 1:
        return [_short(one) for one in values]
    return [None if math.isnan(one) else shortest(one) for one in values]


def _put_mask(target: object, path: Path, place: str) -> None:
    if isinstance(target, Path):
        try:
            shutil.copyfile(target, path)
        except OSError as error:
            raise check.DataError(f"{place}: the mask {shown(target)} cannot be read: {error.strerror}") from error
        return
    pixels = np.asarray(target)
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or not pixels.size:
        expected = "a mask, uint8 of shape (height, width)"
        raise check.DataError(check.sentence(place, expected, f"{pixels.dtype} of shape {pixels.shape}"))
    Image.fromarray(pixels).save(path)


JSON = Format(
    name="json",
    says="a JSON list of objects (or an object a line) with the paths of images, their pixels or numbers",
    recognise=_recognise,
    read=_read,
    write=_write,
)
