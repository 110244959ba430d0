"""What the readers and writers of annotation files share: numbers, class names, boxes, what is said of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lensmith import check
from lensmith.data.formats.format import Hints
from lensmith.data.formats.text import read_names, read_text
from lensmith.data.formats.walking import shown
from lensmith.data.images import extent
from lensmith.records import Boxes, Problem, Record, Records

TASK = "objects"
_NAMES_FILES = ("classes.txt", "labels.txt", "label_map.pbtxt")
_LARGEST = float(np.finfo(np.float32).max)


def task_name(hints: Hints) -> str:
    """What to call the task: as the user says, else ``objects``."""
    if hints.labels is None:
        return TASK
    if len(hints.labels) != 1:
        raise check.SettingError(check.sentence("labels", "one name, for boxes are one task", ", ".join(hints.labels)))
    return hints.labels[0]


def number(value: object) -> float | None:
    """A number of a JSON file that float32 can hold; None for anything else, NaN and infinity among it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if abs(float(value)) <= _LARGEST else None
    except OverflowError:
        return None


def number_text(value: float) -> str:
    """The shortest text that gives the same float32 number again; whole numbers have no point.

    Example:
        >>> number_text(12.0), number_text(np.float32(0.1))
        ('12', '0.1')
    """
    return str(int(value)) if float(value).is_integer() else str(np.float32(value))


def stated_size(image: Path) -> tuple[int, int] | None:
    """Height and width from the header of an image whose annotation has none; None if it cannot be read.

    That it cannot is for the audit to say.
    """
    try:
        return extent(image)
    except check.DataError:
        return None


def short(value: object) -> str:
    """A value for a message, on one line and not endless."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def class_names(folders: Iterable[Path], hints: Hints) -> tuple[Path, tuple[str, ...]] | None:
    """The file that names the classes in their order, and the names: as the user says, else found in the folders.

    Raises:
        SettingError: the user's file cannot be read or names nothing.
        DataError: a name stands twice.
    """
    if hints.names is not None:
        if not (hints.names.is_file() and hints.names.stat().st_size):
            raise check.SettingError(check.sentence("names", "a file with class names, one a line", str(hints.names)))
        return hints.names, read_names(hints.names)
    for folder in folders:
        for name in _NAMES_FILES:
            if (folder / name).is_file() and read_text(folder / name).strip():
                return folder / name, read_names(folder / name)
    return None


def nothing_usable(root: Path, expected: str, problems: list[Problem]) -> check.DataError:
    """What to raise when everything was set aside: names the first of it."""
    first = f"; the first of {len(problems)} set aside: {problems[0].source}: {problems[0].reason}" if problems else ""
    return check.DataError(check.sentence(shown(root), expected, f"none{shown(first)}"))


def count(number: int, one: str, more: str | None = None) -> str:
    """``1 box``, ``2 boxes``."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def summary(name: str, items: tuple[Record, ...], task: str, classes: int) -> str:
    """What was found, for a person."""
    targets = [record.targets[task] for record in items]
    boxes = sum(len(target) for target in targets if isinstance(target, Boxes))
    return f"{name}: {count(len(items), 'image')}, {count(boxes, 'box', 'boxes')}, {count(classes, 'class', 'classes')}"


def box_task(records: Records, name: str) -> str:
    """The one task whose boxes a writer writes.

    Raises:
        DataError: there is none, or there are several.
    """
    found = [task for task, labels in records.labels.items() if labels.kind == "boxes"]
    if len(found) != 1:
        kinds = ", ".join(f"{task} ({labels.kind})" for task, labels in records.labels.items()) or "no labels"
        remedy = chosen(records, found) if found else ""
        raise check.DataError(check.sentence(f"{records.name}: to write {name}", "one task with boxes", kinds, remedy))
    return found[0]


def chosen(records: Records, tasks: Sequence[str]) -> str:
    """What to do where a file holds one task and the records have several: the one that most of them have is named."""
    best = max(tasks, key=lambda task: sum(task in record.targets for record in records))
    return f"Choose one when reading: --read labels={best}"


def boxes_of(record: Record, task: str, names: tuple[str, ...]) -> Boxes:
    """The boxes of a record, whose numbers can be written.

    Raises:
        DataError: it has none, or a number is not finite, or a class has no name; names the record.
    """
    boxes = record.targets.get(task)
    if not isinstance(boxes, Boxes):
        remedy = f"Read this task alone: --read labels={task}" if record.targets else ""
        raise check.DataError(check.sentence(record.source, f"boxes for the task {task!r}", "none", remedy))
    rings = [ring for one in boxes.polygons for ring in one]
    if not np.isfinite(boxes.xyxy).all() or not all(np.isfinite(ring).all() for ring in rings):
        raise check.DataError(check.sentence(f"{record.source}: boxes", "finite numbers", "NaN or infinity"))
    wrong = [int(index) for index in boxes.classes if not 0 <= index < len(names)]
    if wrong:
        expected = f"a class from 0 to {len(names) - 1}" if names else "no box, for there is no class"
        raise check.DataError(check.sentence(f"{record.source}: boxes", expected, wrong[0]))
    return boxes


def is_finite(value: float) -> bool:
    """Whether float32 can hold the number."""
    return math.isfinite(value) and abs(value) <= _LARGEST
