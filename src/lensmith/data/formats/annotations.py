"""What the readers and writers of annotation files share: numbers, class names, boxes, what is said of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lensmith import check
from lensmith.data.formats.format import Hints
from lensmith.data.formats.text import read_names, read_text
from lensmith.data.formats.walking import shown
from lensmith.data.images import extent
from lensmith.records import Boxes, Problem, Record

TASK = "objects"
_NAMES_FILES = ("classes.txt", "labels.txt", "label_map.pbtxt")


def task_name(hints: Hints) -> str:
    """What to call the task: as the user says, else ``objects``."""
    if hints.labels is None:
        return TASK
    if len(hints.labels) != 1:
        raise check.SettingError(check.sentence("labels", "one name, for boxes are one task", ", ".join(hints.labels)))
    return hints.labels[0]


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
