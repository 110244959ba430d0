"""Records → ``images/``, ``labels/`` and ``data.yaml``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from lensmith import check
from lensmith.data.formats.annotations import chosen
from lensmith.data.formats.walking import shown
from lensmith.data.formats.writing import image_extent, put_image, unique_names
from lensmith.data.formats.yolo.lines import lines
from lensmith.records import PARTS, Boxes, Record, Records

_KEYS = {"train": "train", "validation": "val", "test": "test"}


def write_yolo(records: Records, folder: Path) -> None:
    """Write the boxes of records as YOLO label files, in the layout Ultralytics reads.

    ``images/<part>/`` and ``labels/<part>/``, and ``data.yaml`` with the names and the parts; a record without a
    part stands in ``images/`` itself, and where there is such a one the config names no part. Objects with an
    outline are written as outlines, from which a reader makes the box around them; rings are joined to one. What
    is said of a box besides is left out: see ``HOLDS``.

    Args:
        records: with one task of boxes; other tasks are not written.
        folder: an empty one.

    Raises:
        DataError: there is no task of boxes, or several, or a record cannot be written; names it.
    """
    task = one_task(records, "boxes", "YOLO")
    count = len(records.labels[task].names)
    for record, name in zip(records, unique_names(records.items), strict=True):
        boxes = record.targets.get(task)
        if not isinstance(boxes, Boxes):
            raise check.DataError(missing(record, task, "boxes"))
        if len(boxes) and not 0 <= int(boxes.classes.min()) <= int(boxes.classes.max()) < count:
            got = f"classes {boxes.classes.min()} to {boxes.classes.max()}"
            raise check.DataError(check.sentence(f"{record.source}: {task}", f"classes from 0 to {count - 1}", got))
        text = lines(boxes, image_extent(record), record.source) if len(boxes) else ""
        put_image(record, made(folder, "images", record) / name)
        (made(folder, "labels", record) / f"{name}.txt").write_text(text, encoding="utf-8")
    config = _config({record.part for record in records}, records.labels[task].names)
    (folder / "data.yaml").write_text(config, encoding="utf-8")


def one_task(records: Records, kind: str, format: str) -> str:
    """The only task of a kind.

    Raises:
        DataError: there is none, or several.
    """
    tasks = [task for task, labels in records.labels.items() if labels.kind == kind]
    if len(tasks) != 1:
        got = ", ".join(tasks) or f"tasks of other kinds ({', '.join(records.labels) or 'none'})"
        remedy = chosen(records, tasks) if tasks else ""
        expected = f"one task of kind {kind} to write as {format}"
        raise check.DataError(check.sentence(shown(records.name), expected, got, remedy))
    return tasks[0]


def missing(record: Record, task: str, expected: str) -> str:
    """What is said of a record that lacks the target, or has one of another sort."""
    target = record.targets.get(task)
    remedy = f"Read this task alone: --read labels={task}" if target is None and record.targets else ""
    got = "none" if target is None else type(target).__name__
    return check.sentence(f"{shown(record.source)}: {task}", expected, got, remedy)


def made(folder: Path, name: str, record: Record) -> Path:
    """The folder of a record's part, which is made where it is missing."""
    place = folder / name / record.part if record.part else folder / name
    place.mkdir(parents=True, exist_ok=True)
    return place


def _config(parts: Iterable[str | None], names: Iterable[str]) -> str:
    found = set(parts)
    values: dict[str, Any] = {}
    if None not in found:
        values = {_KEYS[part]: f"images/{part}" for part in PARTS if part in found}
    values["names"] = dict(enumerate(names))
    # Written as they are, these end a line, and would be read as a space.
    ends = any(letter in name for name in values["names"].values() for letter in "\x85\u2028\u2029")
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=not ends))
